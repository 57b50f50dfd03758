// What `volant improve` asks of a kind of model; language models and models of predictions answer it.
#pragma once
#include <memory>

#include "registry/gate.h"
#include "registry/versions.h"
#include "wheel/corrections_eval.h"
#include "wheel/improve_rows.h"
#include "wheel/workspace.h"

namespace volant {

class Improver {
 public:
  virtual ~Improver() = default;
  // Corrections and old rows against forgetting, for a training from `hf`. `rows`: the folder that
  // production's first ancestor was trained on. `attempt`: from 1 on; a later one may insist more.
  virtual Result<ImproveRows> write_rows(const CuratedSet& set, const Path& hf, const Path& rows, int attempt,
                                         const Path& file) const = 0;
  virtual Result<Json> job(const Path& hf, const Path& file, int64_t steps, double lr) const = 0;
  // How a model answers what was corrected; by `rows`, as above, one decides that is not served yet.
  virtual Result<std::vector<CorrectionScore>> score(const Path& model, const Path& rows,
                                                     const std::vector<CuratedRow>& corrections) const = 0;
  // Report, exports and what is served: into `scratch`, the registry's artifacts and `candidate`.
  virtual Status evaluate(const Path& rows, const Path& scratch, const std::string& run_id,
                          ModelVersion& candidate) = 0;
  // Of what evaluate() measured, against production.
  virtual Result<GateReport> gate(const Path& rows) = 0;
};

std::unique_ptr<Improver> make_language_improver(Workspace& workspace);
namespace predict {
std::unique_ptr<Improver> make_improver(Workspace& workspace);
}

}  // namespace volant
