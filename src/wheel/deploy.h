// Deploy: a finished model becomes a version, meets the gate,
// and is promoted or refused. Used by `run` and `improve`.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "registry/gate.h"
#include "registry/versions.h"
#include "wheel/station.h"
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

// Registers `version` as the candidate of a `run`, holds it against `gate` unless it is production already,
// and says what came of it as the stage's result.
Result<StageResult> deploy_version(StageContext& context, const ModelVersion& version,
                                   const std::function<Result<GateReport>()>& gate);

}  // namespace volant
