// A model of predictions learns from corrected labels: trained on with them, each many times over, among rows
// that it was trained on.
#include "wheel/improver.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/digest.h"
#include "io/jsonl.h"
#include "registry/artifacts.h"
#include "wheel/predict/evaluation.h"
#include "wheel/predict/job.h"
#include "wheel/predict/report.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

constexpr int64_t kMaxWeight = 3;  // copies of a correction that many users gave
// Copies of a correction in a step: few corrections must not outweigh all else. Of the first attempt; each
// further one has twice as many.
constexpr int64_t kMostInAStep = 2;
constexpr double kCloseEnough = 0.02;  // of a number: relative to its correction

Result<Json> input_of(const CuratedRow& row) {
  const std::string content = question_of(row);
  Json input = TRY(parse_json(content));
  if (!input.is_object())
    return fail(ErrorCode::kParse, "expected the input of a prediction as a JSON object");
  return input;
}

Result<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return fail(ErrorCode::kInvalidArgument, "expected a number, got '{}'", text);
  return value;
}

class PredictImprover final : public Improver {
 public:
  explicit PredictImprover(Workspace& workspace) : workspace_(workspace) {}

  Result<ImproveRows> write_rows(const CuratedSet& set, const Path&, const Path& rows, int attempt,
                                 const Path& file) const override {
    const ImproveSection& config = workspace_.config().improve;
    std::vector<TaskRow> old = TRY(read_task_rows(rows / kTrainRows));
    std::ranges::sort(old, {}, [](const TaskRow& row) { return sha256_hex("replay" + row.id); });
    const int64_t steps = config.steps << (attempt - 1);  // that this attempt will take, seeing each row once
    const int64_t examples = steps * batch_size();
    const double share = 1 - config.replay_share;
    int64_t once = 0;
    for (const CuratedRow& row : set.train) once += std::min(row.weight, kMaxWeight);
    const int64_t copies = std::clamp<int64_t>(
        std::llround(static_cast<double>(examples) * share / static_cast<double>(std::max<int64_t>(once, 1))),
        1, steps * (kMostInAStep << (attempt - 1)));
    const int64_t wanted = std::max<int64_t>(
        examples - copies * once, std::llround(static_cast<double>(examples) * config.replay_share));
    const auto replay = static_cast<size_t>(std::min<int64_t>(std::ssize(old), wanted));
    ImproveRows result{
        .correction_rows = 0, .replay_rows = static_cast<int64_t>(replay), .steps = config.steps};
    JsonlWriter writer = TRY(JsonlWriter::create(file));
    for (const CuratedRow& row : set.train) {
      const Json json = to_json(TRY(corrected(row)));
      for (int64_t i = 0; i < copies * std::min(row.weight, kMaxWeight); ++i, ++result.correction_rows)
        TRY(writer.write(json));
    }
    for (size_t i = 0; i < replay; ++i) TRY(writer.write(to_json(old[i])));
    TRY(writer.finish());
    return result;
  }

  Result<Json> job(const Path& hf, const Path& file, int64_t steps, double lr) const override {
    return Json(TRY(tuning_job(workspace_, hf, file, steps, lr)));
  }

  Result<std::vector<CorrectionScore>> score(const Path& model, const Path& rows,
                                             const std::vector<CuratedRow>& corrections) const override {
    const auto predictor = TRY(Predictor::load(model));
    std::optional<double> chosen;
    if (!std::filesystem::exists(model / "predictor.json"))
      chosen = TRY(chosen_threshold(workspace_, *predictor, rows));
    std::vector<Json> inputs;
    for (const CuratedRow& row : corrections) inputs.push_back(TRY(input_of(row)));
    std::vector<Prediction> predicted = TRY(predictor->predict(inputs));
    std::vector<CorrectionScore> scores;
    for (size_t i = 0; i < corrections.size(); ++i) {
      if (chosen) predicted[i].best = decided_label(predicted[i].probabilities, *chosen);
      scores.push_back(TRY(score_of(*predictor, predicted[i], corrections[i])));
    }
    return scores;
  }

  Status evaluate(const Path& rows, const Path& scratch, const std::string&,
                  ModelVersion& candidate) override {
    Registry& registry = workspace_.registry();
    const Path hf = TRY(artifact_path(registry, candidate.hf)), folder = scratch / "evaluation";
    const Served served = TRY(make_served(workspace_, hf, rows, scratch / "served"));
    report_ = TRY(report_on_test(workspace_, served.folder, rows));
    TRY(write_report(report_, folder));
    candidate.bytes = served.bytes;
    candidate.parity = served.parity;
    candidate.gguf = TRY(put_artifact(registry, served.folder, "hf_model")).digest;
    candidate.metrics = metrics_of(report_);
    candidate.metrics.as_object()["report"] = TRY(put_artifact(registry, folder, "evaluation")).digest;
    return {};
  }

  Result<GateReport> gate(const Path& rows) override { return gate_of(workspace_, report_, rows); }

 private:
  int64_t batch_size() const {
    constexpr int64_t kDefaultBatch = 64;
    return json_int_or(Json(workspace_.config().predict->train), "batch_size", kDefaultBatch)
        .value_or(kDefaultBatch);
  }
  bool numbers() const { return workspace_.config().predict->problem == "number"; }

  Result<TaskRow> corrected(const CuratedRow& row) const {
    TaskRow corrected{.id = "correction-" + row.digest.substr(0, 12), .input = TRY(input_of(row))};
    if (numbers()) {
      corrected.target = TRY(number_of(correction_of(row)));
    } else {
      corrected.label = correction_of(row);
    }
    return corrected;
  }

  Result<CorrectionScore> score_of(const Predictor& predictor, const Prediction& predicted,
                                   const CuratedRow& row) const {
    const std::string wanted = correction_of(row);
    if (numbers()) {
      const double target = TRY(number_of(wanted)), off = predicted.value - target;
      return CorrectionScore{.loss = off * off,
                             .exact = std::abs(off) <= kCloseEnough * std::max(1.0, std::abs(target)),
                             .answer = fmt::format("{:.6g}", predicted.value)};
    }
    const auto& labels = predictor.labels();
    const auto at = std::ranges::find(labels, wanted);
    const double p =
        at == labels.end() ? 0 : predicted.probabilities[static_cast<size_t>(at - labels.begin())];
    const std::string& answer = labels[static_cast<size_t>(predicted.best)];
    return CorrectionScore{
        .loss = -std::log(std::max(p, 1e-12)), .exact = answer == wanted, .answer = answer};
  }

  Workspace& workspace_;
  EvalReport report_;
};

}  // namespace

std::unique_ptr<Improver> make_improver(Workspace& workspace) {
  return std::make_unique<PredictImprover>(workspace);
}

}  // namespace volant::predict
