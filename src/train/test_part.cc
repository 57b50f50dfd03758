#include "train/test_part.h"

#include <numeric>

#include "base/clock.h"
#include "base/digest.h"
#include "base/progress.h"
#include "train/interval.h"

namespace volant {
namespace {

constexpr size_t kDigestLetters = 12;

// The same job with the test rows alone: nothing is trained with it.
std::unique_ptr<TrainJob> test_job(const TrainJob& job) {
  auto test = std::make_unique<TrainJob>(job);
  test->train_rows = test->validation_rows = job.test_rows;
  test->train_shard = test->validation_shard = job.test_shard;
  test->toy_arithmetic.reset();
  test->sampled.reset();
  test->prompt_rows.clear();
  test->distil.reset();
  test->grpo.beta = 0;
  test->grpo.evaluate_prompts = INT32_MAX;
  test->evaluate_tokens = INT64_MAX;
  test->folder = job.folder / "test";  // what an objective keeps of its rows
  return test;
}

std::vector<double> numbers_of(const Json& report, const std::string& name) {
  std::vector<double> numbers;
  const Json* scores = json_find(report, "row_scores");
  const Json* list = scores != nullptr ? json_find(*scores, name) : nullptr;
  if (list == nullptr || !list->is_array()) return numbers;
  for (const Json& number : list->as_array())
    if (number.is_number()) numbers.push_back(number.to_number<double>());
  return numbers;
}

JsonArray to_json(const std::vector<double>& numbers) { return JsonArray(numbers.begin(), numbers.end()); }

std::string interval_text(const Json& figure) {
  const auto& ci = figure.at("ci95").as_array();
  return fmt::format("{:.4f} ({:.4f} to {:.4f})", figure.at("value").to_number<double>(),
                     ci.at(0).to_number<double>(), ci.at(1).to_number<double>());
}

}  // namespace

Json paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                       const std::vector<double>& weights) {
  return with_interval(b.size(), [&](std::span<const uint32_t> rows) {
    double sum = 0, of = 0;
    for (const uint32_t row : rows) {
      const double weight = weights.empty() ? 1 : weights[row];
      sum += weight * (b[row] - a[row]);
      of += weight;
    }
    return of > 0 ? sum / of : 0;
  });
}

Result<TestPart> TestPart::open(const TrainJob& job, const Tokenizer* tokenizer, const ModelConfig& config,
                                const TrainFiles& files) {
  TestPart test(test_job(job), files);
  test.objective_ = TRY(make_objective({*test.job_, tokenizer, config}));
  if (!test.objective_->can_evaluate())
    return fail(ErrorCode::kInvalidArgument, "there is nothing to evaluate in the test part")
        .at((job.test_rows.empty() ? job.test_shard : job.test_rows).string());
  const Path file = job.test_rows.empty() ? Path(job.test_shard.string() + ".bin") : job.test_rows;
  // Rows are cut by these two.
  test.rows_digest_ = sha256_hex(fmt::format("{} {} {}", sha256_hex(TRY(read_file(file))), job.max_seq_len,
                                             job.micro_batch_tokens))
                          .substr(0, kDigestLetters);
  return test;
}

Status TestPart::start(TorchModel& model) {
  TRY(objective_->prepare(model));
  if (job_->init_from.empty() || std::filesystem::exists(files_.test_before())) return {};
  const Evaluation before = TRY(objective_->evaluate(model));
  return write_file_atomic(files_.test_before(), dump_json(report(before, "before")));
}

Result<JsonObject> TestPart::finish(TorchModel& model, int64_t step) {
  const Evaluation result = TRY(objective_->evaluate(model));
  const Json after = report(result, "after");
  TRY(write_file_atomic(files_.test(), dump_json(after)));
  JsonObject event{{"type", "test"}, {"step", step}, {"loss", result.loss}, {"metrics", result.metrics}};
  if (result.bits_per_byte > 0) event["bits_per_byte"] = result.bits_per_byte;
  Json before;
  if (std::filesystem::exists(files_.test_before()))
    before = TRY(parse_json(TRY(read_file(files_.test_before()))));
  if (result.by_row.empty()) print_notice(fmt::format("test    loss {:.4f}\n", result.loss));
  JsonObject differences;
  for (const RowFigure& figure : result.by_row) {
    std::string text = fmt::format("test    {} {}", figure.name, interval_text(after.at(figure.name)));
    const std::vector<double> old = numbers_of(before, figure.name);
    if (!old.empty() && old.size() == figure.values.size()) {
      const Json difference = paired_difference(old, figure.values, result.row_weights);
      text += fmt::format(", before {}; difference {}", interval_text(before.at(figure.name)),
                          interval_text(difference));
      differences[figure.name] = difference;
    }
    print_notice(text + "\n");
  }
  if (!differences.empty()) event["difference"] = std::move(differences);
  return event;
}

Json TestPart::report(const Evaluation& result, const char* model) const {
  const size_t n = result.by_row.empty() ? 0 : result.by_row.front().values.size();
  JsonObject json{
      {"title", "Test rows"},        {"model", model}, {"suite", job_->objective_name()},
      {"created_at", now_iso8601()}, {"rows", n},      {"settings", JsonObject{{"metrics", result.metrics}}}};
  JsonArray ids;
  for (size_t i = 0; i < n; ++i) ids.emplace_back(fmt::format("{}-{}", rows_digest_, i));
  JsonObject scores{{"ids", std::move(ids)}};
  if (!result.row_weights.empty()) scores["weights"] = to_json(result.row_weights);
  const std::vector<double> nothing(n, 0);
  for (const RowFigure& figure : result.by_row) {
    Json value = paired_difference(nothing, figure.values, result.row_weights);
    value.as_object()["better"] = figure.higher_is_better ? "higher" : "lower";
    json[figure.name] = std::move(value);
    scores[figure.name] = to_json(figure.values);
  }
  json["row_scores"] = std::move(scores);
  return json;
}

}  // namespace volant
