// Deploy: a finished model becomes a version, meets the gate,
// and is promoted or refused. Used by `run` and `improve`.
#pragma once
#include <string>
#include <vector>

#include "registry/gate.h"
#include "registry/versions.h"
#include "wheel/workspace.h"

namespace volant {

struct Decision {
  ModelVersion version;
  bool promoted = false;
  std::vector<std::string> reasons;
};

GateConfig gate_config(const GateSection& section);
// The gate of `scores` (of the served file on the documents of `rows`) against production, or against byte
// frequencies when there is none.
Result<GateReport> run_gate(Workspace& workspace, const std::vector<DocumentScore>& scores, const Path& rows);
// Records the gate, then promotes or refuses, in one transaction with its audit entry.
Result<Decision> decide(Workspace& workspace, const ModelVersion& version, const GateReport& gate,
                        const std::string& actor);

}  // namespace volant
