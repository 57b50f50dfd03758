// A language model learns from corrections: fine-tuned on conversations mixed with text that it knows.
#include <algorithm>

#include "wheel/deploy.h"
#include "wheel/exported.h"
#include "wheel/held_out.h"
#include "wheel/improver.h"
#include "wheel/stages.h"

namespace volant {
namespace {

constexpr int64_t kWarmupSteps = 5;

class LanguageImprover final : public Improver {
 public:
  explicit LanguageImprover(Workspace& workspace) : workspace_(workspace), config_(workspace.config()) {}

  Result<ImproveRows> write_rows(const CuratedSet& set, const Path& hf, const Path& rows, int,
                                 const Path& file) const override {
    const auto tokenizer = TRY(load_tokenizer(hf));
    return write_improve_rows(set, rows / kTrainRows, *tokenizer, config_.improve, config_.train.max_seq_len,
                              file);
  }

  Result<Json> job(const Path& hf, const Path& file, int64_t steps, double lr) const override {
    return Json(JsonObject{{"objective", "sft"},
                           {"model", JsonObject{{"init_from", hf.string()}}},
                           {"tokenizer", hf.string()},
                           {"data", JsonObject{{"train_rows", file.string()}}},
                           {"seed", config_.train.seed},
                           {"dtype", config_.train.dtype},
                           {"max_seq_len", config_.train.max_seq_len},
                           {"tokens_per_step", kImproveTokensPerStep},
                           {"micro_batch_tokens", kImproveTokensPerStep},
                           {"steps", steps},
                           {"max_seconds", config_.improve.max_minutes * 60},
                           {"lr", lr},
                           {"min_lr_ratio", 0.1},
                           {"warmup_steps", kWarmupSteps},
                           {"weight_decay", 0.0},
                           {"grad_clip", 1.0},
                           {"evaluate_every", 0},
                           {"checkpoint_every", std::max<int64_t>(steps / 4, 1)},
                           {"finish_with", "last"},
                           {"n_threads", config_.train.n_threads}});
  }

  Result<std::vector<CorrectionScore>> score(const Path& model, const Path&,
                                             const std::vector<CuratedRow>& corrections) const override {
    const auto engine = TRY(Engine::open(model));
    return score_corrections(*engine, corrections);
  }

  Status evaluate(const Path& rows, const Path& scratch, const std::string& run_id,
                  ModelVersion& candidate) override {
    Registry& registry = workspace_.registry();
    const Path hf = TRY(artifact_path(registry, candidate.hf));
    const auto documents = TRY(read_documents(rows / kTestRows, config_.evaluate.max_documents));
    LanguageEvalOptions options;
    options.sample_prompts = config_.evaluate.sample_prompts;
    const LanguageEvalReport report = TRY(evaluate_model(hf, documents, options));
    const Path folder = scratch / "evaluation";
    TRY(make_dirs(folder));
    TRY(write_file_atomic(folder / "report.json", dump_json_pretty(to_json(report))));
    TRY(write_file_atomic(folder / "report.html", to_html(report, config_.name + ": " + run_id)));
    const ExportedModel exported =
        TRY(export_formats(hf, config_.compress, documents, scratch, config_.name));
    const Path served = exported.files.front().path;
    candidate.bytes = TRY(volant::file_size(served));
    candidate.gguf = TRY(put_artifact(registry, served, "gguf")).digest;
    candidate.parity = exported.parity;
    scores_ = exported.scores;
    Json metrics = metrics_of(to_json(report));
    metrics.as_object()["served_bits_per_byte"] = exported.bits_per_byte;
    metrics.as_object()["report"] = TRY(put_artifact(registry, folder, "evaluation")).digest;
    candidate.metrics = std::move(metrics);
    return {};
  }

  Result<GateReport> gate(const Path& rows) override { return run_gate(workspace_, scores_, rows); }

 private:
  Workspace& workspace_;
  const WorkspaceConfig& config_;
  std::vector<DocumentScore> scores_;
};

}  // namespace

std::unique_ptr<Improver> make_language_improver(Workspace& workspace) {
  return std::make_unique<LanguageImprover>(workspace);
}

}  // namespace volant
