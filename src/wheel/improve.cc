#include "wheel/improve.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/digest.h"
#include "base/stop.h"
#include "feedback/curation.h"
#include "registry/audit.h"
#include "wheel/deploy.h"
#include "wheel/improve_record.h"
#include "wheel/improver.h"
#include "wheel/running.h"
#include "wheel/trainer.h"

namespace volant {
namespace {

constexpr double kLearnedShare = 0.8;  // of the corrections that it was trained on
constexpr int kMaxAttempts = 3;
constexpr double kHarderLr = 1.25;  // a further attempt: this much more, for twice the steps
constexpr size_t kMaxExamples = 20;

// One `volant improve`, step by step; what a step makes is kept for the next ones and for the report.
class Improvement {
 public:
  Improvement(Workspace& workspace, const ImproveOptions& options)
      : workspace_(workspace),
        registry_(workspace.registry()),
        config_(workspace.config()),
        options_(options),
        improver_(config_.predict ? predict::make_improver(workspace) : make_language_improver(workspace)) {}

  Result<Json> go() {
    if (!TRY(gather())) return report();
    if (options_.dry_run) return report();
    const double started = steady_seconds();
    run_ = TRY(start_run(registry_, "improve", key_));
    const RunningMark mark = TRY(RunningMark::set(registry_, "improve", run_.id));
    scratch_ = partial_path(registry_.tmp_dir() / "improve");
    const Status done = work(started);
    (void)volant::remove_all(scratch_);
    if (!done) return failed(done.error(), steady_seconds() - started);
    return report();
  }

 private:
  Status work(double started) {
    TRY(make_dirs(scratch_));
    TRY(train());
    TRY(evaluate());
    TRY(register_candidate());
    return judge(started);
  }

  // Corrections and where they are to be learned; false when there is nothing to do.
  Result<bool> gather() {
    const auto production = TRY(alias_target(registry_, "production"));
    if (!production) {
      return fail(ErrorCode::kNotFound, "expected a model in production to improve; 'volant run' makes one");
    }
    production_ = TRY(find_version(registry_, *production));
    const auto fresh = TRY(pending_corrections(registry_));
    // Earlier corrections come along, so that they are not forgotten.
    set_ = TRY(curate(TRY(pending_corrections(registry_, true)), config_.improve.held_out_share));
    n_new_ = static_cast<int64_t>(fresh.size());
    if (n_new_ < config_.improve.min_corrections || set_.train.empty()) {
      state_ = "nothing_to_do";
      say(fmt::format("{} new corrections since the last improve, {} needed; nothing to do", n_new_,
                      config_.improve.min_corrections));
      return false;
    }
    rows_ = TRY(artifact_path(registry_, TRY(base_rows())));
    say(fmt::format("{} corrections ({} new) on {} questions: {} to learn, {} held out", set_.corrections,
                    n_new_, set_.train.size() + set_.held_out.size(), set_.train.size(),
                    set_.held_out.size()));
    JsonArray ids;
    for (const int64_t id : set_.feedback_ids) ids.emplace_back(id);
    key_ = sha256_hex(dump_json(JsonObject{{"production", production_.version},
                                           {"hf", production_.hf},
                                           {"feedback", ids},
                                           {"settings", to_json(config_.improve)},
                                           {"code", 1}}));
    return true;
  }

  // The rows that the first ancestor of production was trained on.
  Result<std::string> base_rows() {
    ModelVersion version = production_;
    while (!version.parent.empty()) version = TRY(find_version(registry_, version.parent));
    return version.dataset;
  }

  // Gently first; when too little stuck, again from production with twice the steps and twice the rate. The
  // gate sees to it that the last one did not forget too much for that.
  Status train() {
    const Path hf = TRY(artifact_path(registry_, production_.hf));
    const Path run_folder = run_dir(registry_, run_.id);
    Path model, file;
    for (int attempt = 1; attempt <= kMaxAttempts; ++attempt) {
      const Path dir = attempt == 1 ? run_folder : run_folder / fmt::format("attempt-{}", attempt);
      TRY(make_dirs(dir));
      file = dir / "rows.jsonl";
      counts_ = TRY(improver_->write_rows(set_, hf, rows_, attempt, file));
      const int64_t steps = counts_.steps << (attempt - 1);
      const double lr = std::min(config_.improve.lr * std::pow(kHarderLr, attempt - 1), 1.0);
      say(fmt::format("training from {} for {} steps, with {} old rows against forgetting",
                      production_.version, steps, counts_.replay_rows));
      const TrainedModel trained = TRY(run_trainer(dir, TRY(improver_->job(hf, file, steps, lr))));
      training_ = trained.summary;
      training_.as_object()["attempts"] = attempt;
      model = trained.folder;
      const CorrectionSummary learned = summarize(TRY(improver_->score(model, rows_, set_.train)));
      if (learned_enough(learned) || attempt == kMaxAttempts) break;
      say(fmt::format("it learned {} of {} corrections; once more, harder", learned.learned, learned.rows));
    }
    return keep_model(model, file);
  }

  // Model, what its trainer found of its parity, and rows become artifacts; copies, so that the run's folder
  // stays whole until everything is recorded.
  Status keep_model(const Path& model, const Path& file) {
    const Path copy = scratch_ / "model";
    TRY(copy_all(model, copy));
    if (const Path parity = model.parent_path() / "parity.json"; std::filesystem::exists(parity))
      TRY(copy_all(parity, copy / "parity.json"));
    candidate_.hf = TRY(put_artifact(registry_, copy, "hf_model")).digest;
    const Path rows_copy = scratch_ / "corrections.jsonl";
    TRY(copy_all(file, rows_copy));
    candidate_.dataset = TRY(put_artifact(registry_, rows_copy, "corrections")).digest;
    return stop_requested()
               ? Status(fail(ErrorCode::kCancelled, "stopped; 'volant improve' goes on from here"))
               : Status();
  }

  static bool learned_enough(const CorrectionSummary& learned) {
    return static_cast<double>(learned.learned) >= kLearnedShare * static_cast<double>(learned.rows);
  }

  Status evaluate() {
    say("evaluating the candidate and its compressed form");
    TRY(improver_->evaluate(rows_, scratch_, run_.id, candidate_));
    return compare_corrections();
  }

  Status compare_corrections() {
    std::vector<CuratedRow> all = set_.train;
    all.insert(all.end(), set_.held_out.begin(), set_.held_out.end());
    const auto before = TRY(improver_->score(TRY(version_model_path(registry_, production_)), rows_, all));
    const auto after = TRY(improver_->score(TRY(artifact_path(registry_, candidate_.gguf)), rows_, all));
    const auto split = static_cast<std::ptrdiff_t>(set_.train.size());
    const auto part = [&](const std::vector<CorrectionScore>& scores, bool held_out) {
      return summarize(held_out ? std::vector(scores.begin() + split, scores.end())
                                : std::vector(scores.begin(), scores.begin() + split));
    };
    learned_ = part(after, false);
    corrections_ = JsonObject{{"train", compare_json(part(before, false), learned_)},
                              {"held_out", compare_json(part(before, true), part(after, true))}};
    for (size_t i = 0; i < all.size() && i < kMaxExamples; ++i) {
      examples_.push_back(JsonObject{{"question", question_of(all[i])},
                                     {"correction", correction_of(all[i])},
                                     {"before", before[i].answer},
                                     {"after", after[i].answer},
                                     {"held_out", i >= set_.train.size()}});
    }
    say(fmt::format("corrections to learn that are answered just as wanted: {} of {} now, {} before",
                    learned_.exact, learned_.rows, part(before, false).exact));
    return {};
  }

  Status register_candidate() {
    candidate_.run_id = run_.id;
    candidate_.parent = production_.version;
    candidate_.metrics.as_object()["corrections"] = corrections_;
    Transaction transaction = TRY(Transaction::begin(registry_.database()));
    candidate_ = TRY(register_version(registry_, candidate_));
    const LineageNode dataset{"artifact", candidate_.dataset};
    TRY(add_edge(registry_, {"artifact", TRY(base_rows())}, dataset, "replay"));
    for (const int64_t id : set_.feedback_ids) {
      TRY(add_edge(registry_, {"feedback", std::to_string(id)}, dataset, "correction"));
    }
    TRY(set_alias(registry_, "candidate", candidate_.version, "improve", "learned from corrections"));
    return transaction.commit();
  }

  // The gate, the decision and everything that says so, in one transaction.
  Status judge(double started) {
    GateReport gate = TRY(improver_->gate(rows_));
    add_condition(
        gate, learned_enough(learned_),
        fmt::format("it learned {} of the {} corrections it was trained on, at least {:.0f} % are expected",
                    learned_.learned, learned_.rows, 100 * kLearnedShare));
    Transaction transaction = TRY(Transaction::begin(registry_.database()));
    decision_ = TRY(decide(workspace_, candidate_, gate, "improve"));
    gate_ = to_json(gate);
    state_ = decision_.promoted ? "promoted" : "refused";
    seconds_ = steady_seconds() - started;
    if (decision_.promoted) {
      TRY(mark_used(registry_, set_.feedback_ids));
      say(fmt::format("{} passed the gate and is production now (before: {})", candidate_.version,
                      production_.version));
    } else {
      say(fmt::format("{} was refused, {} stays in production", candidate_.version, production_.version));
      for (const std::string& reason : gate.reasons) say("  " + reason);
    }
    const Json whole = report();
    TRY(record_improvement(registry_, run_.id, state_, whole));
    TRY(finish_run(registry_, run_.id, "finished",
                   JsonObject{{"state", state_},
                              {"candidate", candidate_.version},
                              {"corrections", corrections_},
                              {"training", training_}},
                   seconds_));
    TRY(registry_.database().execute("DELETE FROM station_failures WHERE station = 'improve'"));
    TRY(transaction.commit());
    drop_checkpoints(registry_, run_.id);
    for (int attempt = 2; attempt <= kMaxAttempts; ++attempt) {
      (void)volant::remove_all(run_dir(registry_, run_.id) / fmt::format("attempt-{}", attempt));
    }
    return {};
  }

  Error failed(Error error, double seconds) {
    const bool cancelled = error.code == ErrorCode::kCancelled;
    (void)finish_run(registry_, run_.id, cancelled ? "stopped" : "failed",
                     JsonObject{{"error", error.to_string()}}, seconds);
    if (!cancelled) {
      (void)registry_.database().execute(
          "INSERT INTO station_failures (station, stage_key, message, created_at) "
          "VALUES ('improve', ?, ?, ?) ON CONFLICT (station) DO UPDATE SET "
          "stage_key = excluded.stage_key, message = excluded.message, created_at = excluded.created_at",
          {key_, error.to_string(), now_iso8601()});
    }
    return std::move(error).at("improve");
  }

  Json report() const {
    JsonArray summary;
    for (const std::string& line : lines_) summary.emplace_back(line);
    const auto name = [](const std::string& version) { return version.empty() ? Json() : Json(version); };
    const bool promoted = state_ == "promoted";
    return JsonObject{{"state", state_},
                      {"headline", lines_.empty() ? "" : headline()},
                      {"summary", std::move(summary)},
                      {"run_id", name(run_.id)},
                      {"candidate", name(candidate_.version)},
                      {"production_before", name(production_.version)},
                      {"production_after", name(promoted ? candidate_.version : production_.version)},
                      {"rows", JsonObject{{"train", set_.train.size()},
                                          {"held_out", set_.held_out.size()},
                                          {"replay", counts_.replay_rows},
                                          {"copies", counts_.correction_rows},
                                          {"duplicates", set_.duplicates}}},
                      {"corrections", corrections_},
                      {"examples", examples_},
                      {"gate", gate_},
                      {"training", training_},
                      {"seconds", seconds_}};
  }

  std::string headline() const {
    if (state_ == "promoted")
      return fmt::format("{} learned {} corrections and became production", candidate_.version,
                         learned_.learned);
    if (state_ == "refused") return fmt::format("{} was refused by the gate", candidate_.version);
    return lines_.back();
  }

  void say(const std::string& line) {
    lines_.push_back(line);
    if (options_.on_line) options_.on_line(line);
  }

  Workspace& workspace_;
  Registry& registry_;
  const WorkspaceConfig& config_;
  const ImproveOptions& options_;
  const std::unique_ptr<Improver> improver_;
  std::string key_, state_ = "dry_run";
  Run run_;
  Path scratch_, rows_;
  ModelVersion production_, candidate_;
  CuratedSet set_;
  ImproveRows counts_;
  int64_t n_new_ = 0;
  double seconds_ = 0;
  CorrectionSummary learned_;
  Decision decision_;
  Json training_, corrections_, gate_;
  JsonArray examples_;
  std::vector<std::string> lines_;
};

}  // namespace

Result<Json> improve(Workspace& workspace, const ImproveOptions& options) {
  const LockFile lock = TRY(workspace.lock());
  return Improvement(workspace, options).go();
}

Result<Json> improve_status(Workspace& workspace) {
  const auto running = find_running(workspace.registry());
  const auto last = TRY(latest_improvement(workspace.registry()));
  const auto failure = TRY(workspace.registry().database().query_one(
      "SELECT message, created_at FROM station_failures WHERE station = 'improve'"));
  JsonObject status{{"state", "idle"}, {"log", JsonArray()}, {"result", Json()}};
  if (last) {
    status["state"] = "done";
    status["result"] = last->report;
    if (const Json* summary = json_find(last->report, "summary")) status["log"] = *summary;
  }
  if (failure && (!last || failure->text(1) > last->created_at)) {
    status["state"] = "failed";
    status["log"] = JsonArray{Json(failure->text(0))};
  }
  if (running && running->station == "improve") status["state"] = "running";
  return Json(std::move(status));
}

}  // namespace volant
