#include "train/objectives/predict_rows.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/nearest.h"
#include "io/jsonl.h"
#include "train/objectives/label_rows.h"

namespace volant {
namespace {

constexpr size_t kMaxRows = size_t{1} << 26;
constexpr size_t kRowsAtATime = 2048;

// Calls `use` with each row and its place.
Status for_each_task_row(const Path& file,
                         const std::function<Status(TaskRow row, const std::string& place)>& use) {
  JsonlReader reader = TRY(JsonlReader::open(file));
  for (size_t n = 0;; ++n) {
    const std::optional<Json> json = TRY(reader.next());
    if (!json) return {};
    const std::string place = fmt::format("{}:{}", file.string(), reader.line());
    if (n == kMaxRows) return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(place);
    Result<TaskRow> row = parse_task_row(*json);
    if (!row) return std::move(row).error().at(place);
    Status used = use(std::move(*row), place);
    if (!used) return std::move(used).error().at(place);
  }
}

class Reader {
 public:
  Reader(const InputEncoder& encoder, const ModelConfig& config, bool keep_inputs, ThreadPool& pool)
      : encoder_(encoder), config_(config), keep_inputs_(keep_inputs), pool_(pool) {
    rows_.columns = encoder.n_features();
    for (size_t i = 0; i < config.labels.size(); ++i) ids_[config.labels[i]] = static_cast<int32_t>(i);
    if (const auto* network = std::get_if<NetworkFields>(&config.own); network != nullptr) {
      mean_ = network->target_mean;
      deviation_ = network->target_deviation;
    }
  }

  Result<PredictRows> read(const Path& file) {
    TRY(for_each_task_row(file, [&](TaskRow row, const std::string& place) -> Status {
      TRY(add_target(row));
      rows_.weights.push_back(row.weight);
      waiting_.push_back(std::move(row.input));
      places_.push_back(place);
      return waiting_.size() == kRowsAtATime ? encode() : Status();
    }));
    TRY(encode());
    return std::move(rows_);
  }

 private:
  Status add_target(const TaskRow& row) {
    if (problem_of(config_) == Problem::kNumber) {
      if (!row.target) return fail(ErrorCode::kParse, "expected a field 'target', a number");
      rows_.numbers.push_back((*row.target - mean_) / deviation_);
      return {};
    }
    if (row.label.empty()) return fail(ErrorCode::kParse, "expected a field 'label'");
    const auto id = ids_.find(row.label);
    if (id == ids_.end())
      return fail(ErrorCode::kInvalidArgument, "the model has no label '{}'{}", row.label,
                  did_you_mean(row.label, config_.labels));
    rows_.labels.push_back(id->second);
    return {};
  }

  Status encode() {
    std::vector<std::optional<Result<EncodedInput>>> encoded(waiting_.size());
    pool_.parallel_for(static_cast<int64_t>(waiting_.size()), 16, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); std::cmp_less(i, end); ++i)
        encoded[i] = encoder_.encode(waiting_[i]);
    });
    for (size_t i = 0; i < encoded.size(); ++i) {
      Status added = *encoded[i] ? add(std::move(**encoded[i])) : Status(std::move(*encoded[i]).error());
      if (!added) return std::move(added).error().at(places_[i]);
      if (!keep_inputs_ && rows_.inputs.size() >= kShownRows) continue;
      rows_.inputs.push_back(std::move(waiting_[i]));
    }
    waiting_.clear();
    places_.clear();
    return {};
  }

  Status add(EncodedInput input) {
    if (rows_.columns > 0) {
      if (std::ssize(input.features) != rows_.columns)
        return fail(ErrorCode::kInternal, "the encoder gave {} numbers, expected {}", input.features.size(),
                    rows_.columns);
      rows_.features.insert(rows_.features.end(), input.features.begin(), input.features.end());
      return {};
    }
    if (input.tokens.empty()) return fail(ErrorCode::kInvalidArgument, "expected a text, got nothing");
    if (std::ssize(input.tokens) > config_.max_position_embeddings)
      return fail(ErrorCode::kInvalidArgument, "the input has {} tokens, the model has {} positions",
                  input.tokens.size(), config_.max_position_embeddings);
    rows_.texts.push_back(std::move(input));
    return {};
  }

  const InputEncoder& encoder_;
  const ModelConfig& config_;
  bool keep_inputs_;
  ThreadPool& pool_;
  double mean_ = 0, deviation_ = 1;
  std::map<std::string, int32_t, std::less<>> ids_;
  std::vector<Json> waiting_;
  std::vector<std::string> places_;  // of those
  PredictRows rows_;
};

}  // namespace

EncodedInput PredictRows::encoded(size_t row) const {
  if (columns == 0) return texts[row];
  const std::span<const float> own = features_of(row);
  return {.features = {own.begin(), own.end()}};
}

Result<PredictRows> read_predict_rows(const Path& file, const InputEncoder& encoder,
                                      const ModelConfig& config, bool keep_inputs, ThreadPool& pool) {
  return Reader(encoder, config, keep_inputs, pool).read(file);
}

Result<RowSummary> summarise_rows(const Path& file) {
  std::set<std::string> labels;
  std::vector<double> targets;
  TRY(for_each_task_row(file, [&](const TaskRow& row, const std::string&) -> Status {
    if (row.label.empty() && !row.target)
      return fail(ErrorCode::kParse, "expected a field 'label' or 'target'");
    if (!row.label.empty()) labels.insert(row.label);
    if (row.target) targets.push_back(*row.target);
    if (!targets.empty() && !labels.empty())
      return fail(ErrorCode::kParse, "expected rows with 'label' or rows with 'target', got both");
    return {};
  }));
  if (targets.empty() && labels.empty())
    return fail(ErrorCode::kInvalidArgument, "expected rows, got none").at(file.string());
  return RowSummary{.labels = ordered_labels(labels), .targets = target_scale(targets)};
}

}  // namespace volant
