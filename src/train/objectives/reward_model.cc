#include "train/objectives/reward_model.h"

#include <cmath>
#include <optional>

#include "train/interval.h"
#include "train/model_folder.h"
#include "train/objectives/classify.h"
#include "train/objectives/language.h"
#include "train/objectives/preference_rows.h"
#include "train/objectives/shares.h"
#include "train/row_order.h"

namespace volant {
namespace {

using Rows = std::vector<const PreferenceRow*>;

// Both answers of some pairs, each with its prompt, the last row of each read out.
struct ScoredBatch {
  TrainBatch batch;
  std::vector<double> weights;  // of the pairs

  void add(const PreferenceRow& row, int64_t max_seq_len) {
    weights.push_back(row.weight);
    for (const Example& answer : row.answers) {
      const auto length = std::min<int64_t>(std::ssize(answer.ids), max_seq_len);
      for (int64_t i = 0; i < length; ++i) {
        batch.tokens.push_back(answer.ids[static_cast<size_t>(i)]);
        batch.pos.push_back(static_cast<int32_t>(i));
      }
      batch.seq_begin.push_back(static_cast<int32_t>(batch.tokens.size()));
      batch.out_rows.push_back(static_cast<int32_t>(batch.tokens.size()) - 1);
    }
    batch.n_real = std::ssize(batch.tokens);
  }
};

class RewardModelObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return train_.size(); }
  int64_t steps_of_an_epoch() override { return order_->steps_of_an_epoch(job_.tokens_per_step, size_of_); }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_evaluate() const override { return !validation_.empty(); }
  uint64_t n_validation_targets() const override { return validation_.size(); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return order_->state(); }
  Status restore(const Json& state) override { return order_->restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, std::max(job_.micro_batch_tokens, 2 * job_.max_seq_len));
  }

 private:
  explicit RewardModelObjective(const ObjectiveContext& context)
      : job_(context.job), tokenizer_(*context.tokenizer), ranks_(context.ranks) {}
  // Of at most micro_batch_tokens, one pair at least.
  std::vector<ScoredBatch> batches(const Rows& rows) const;

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
  std::vector<PreferenceRow> train_, validation_;
  const RowOrder::RowSize size_of_ = [this](uint32_t row) {
    return answer_tokens(train_[row], {}, job_.max_seq_len);
  };
  std::optional<RowOrder> order_;
};

Result<std::unique_ptr<Objective>> RewardModelObjective::make(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  const ModelConfig& config = context.config;
  if (context.tokenizer == nullptr || config.rows_read() != RowsRead::kLast || config.labels.size() != 1)
    return fail(ErrorCode::kInvalidArgument,
                "expected a decoder with one label (\"...ForSequenceClassification\"), got {} with {} labels",
                config.architecture, config.labels.size());
  std::unique_ptr<RewardModelObjective> objective(new RewardModelObjective(context));
  const ChatTemplate chat_template = TRY(chat_template_of(job));
  objective->train_ = TRY(preference_rows(job.train_rows, job, *context.tokenizer, chat_template));
  if (!job.validation_rows.empty())
    objective->validation_ =
        TRY(preference_rows(job.validation_rows, job, *context.tokenizer, chat_template));
  double weight = 0;
  for (const PreferenceRow& row : objective->train_) weight += row.weight;
  if (weight <= 0)
    return fail(ErrorCode::kInvalidArgument, "expected pairs to learn from, got none of a weight above 0")
        .at(job.train_rows.string());
  objective->order_.emplace(objective->train_.size(), job.seed);
  return std::unique_ptr<Objective>(std::move(objective));
}

std::vector<ScoredBatch> RewardModelObjective::batches(const Rows& rows) const {
  std::vector<ScoredBatch> batches;
  const std::vector<size_t> groups = group_rows(rows, {}, job_.max_seq_len, job_.micro_batch_tokens);
  for (size_t g = 0; g + 1 < groups.size(); ++g) {
    ScoredBatch& batch = batches.emplace_back();
    for (size_t i = groups[g]; i < groups[g + 1]; ++i) batch.add(*rows[i], job_.max_seq_len);
  }
  return batches;
}

Result<StepLoss> RewardModelObjective::step(TorchModel& model) {
  std::vector<uint32_t> rows;
  double weight = 0;
  while (weight <= 0) {  // some row has a weight, so an epoch at most
    rows = order_->take(job_.tokens_per_step, size_of_);
    for (const uint32_t row : rows) weight += train_[row].weight;
  }
  const auto make = [&](const std::vector<uint32_t>& share) {
    Rows some;
    for (const uint32_t row : share) some.push_back(&train_[row]);
    return batches(some);
  };
  StepLoss result;
  double right = 0, margin = 0;
  for (const ScoredBatch& part : own_passes(rows, size_of_, ranks_, model, make)) {
    const auto loss = [&](std::span<const float> scores, std::span<float> gradient) {
      for (size_t i = 0; i + 1 < scores.size(); i += 2) {
        right += scores[i] > scores[i + 1] ? 1 : 0;
        margin += static_cast<double>(scores[i] - scores[i + 1]);
      }
      return bradley_terry_loss(scores, part.weights, gradient);
    };
    result.loss +=
        TRY(model.output_loss_and_gradient(part.batch.view(), loss, static_cast<float>(1 / weight)));
    result.tokens += part.batch.n_real;
    result.flops += batch_flops(model.config(), part.batch);
  }
  result.loss /= weight;
  const auto n = static_cast<double>(rows.size());
  result.metrics = {{"accuracy", right / n}, {"margin", margin / n}};
  return result;
}

Result<Evaluation> RewardModelObjective::evaluate(TorchModel& model) {
  Rows rows;
  int64_t tokens = 0;
  for (const PreferenceRow& row : validation_) {
    if (tokens >= job_.evaluate_tokens) break;
    rows.push_back(&row);
    tokens += answer_tokens(row, {}, job_.max_seq_len);
  }
  double loss = 0, weight = 0;
  std::vector<double> right, margin;
  const std::vector<ScoredBatch> parts = batches(rows);
  const auto all = TRY(in_turn(
      ranks_, model, parts.size(), [&](size_t i) { return parts[i].batch.out_rows.size(); },
      [&](size_t i) -> Result<std::vector<double>> {
        const std::vector<float> scores = TRY(model.output(parts[i].batch.view()));
        return std::vector<double>(scores.begin(), scores.end());
      }));
  for (size_t p = 0; p < parts.size(); ++p) {
    const ScoredBatch& part = parts[p];
    const std::vector<float> scores(all[p].begin(), all[p].end());
    loss += bradley_terry_loss(scores, part.weights, {});
    for (const double each : part.weights) weight += each;
    for (size_t i = 0; i + 1 < scores.size(); i += 2) {
      margin.push_back(static_cast<double>(scores[i] - scores[i + 1]));
      right.push_back(margin.back() > 0 ? 1 : 0);
    }
  }
  if (weight <= 0)
    return fail(ErrorCode::kInvalidArgument, "nothing to evaluate: all rows have the weight 0");
  return Evaluation{loss / weight,
                    0,
                    {{"rows", rows.size()},
                     {"accuracy", mean_with_interval(right)},
                     {"margin", mean_with_interval(margin)}}};
}

std::vector<std::vector<Objective::Piece>> RewardModelObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i)
    for (const Example& answer : train_[i].answers) examples.push_back(pieces_of(answer, tokenizer_));
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_reward_model_objective(const ObjectiveContext& context) {
  return RewardModelObjective::make(context);
}

Result<JsonObject> reward_model_config(const JsonObject& config) {
  return labelled_config(config, "ForSequenceClassification", {"reward"});
}

double bradley_terry_loss(std::span<const float> scores, std::span<const double> weights,
                          std::span<float> gradient) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double lead = static_cast<double>(scores[2 * i]) - static_cast<double>(scores[2 * i + 1]);
    // -log sigmoid(lead), without overflow.
    sum += weights[i] * (std::log1p(std::exp(-std::abs(lead))) + std::max(-lead, 0.0));
    if (gradient.empty()) continue;
    const double slope = -weights[i] / (1 + std::exp(lead));
    gradient[2 * i] = static_cast<float>(slope);
    gradient[2 * i + 1] = static_cast<float>(-slope);
  }
  return sum;
}

}  // namespace volant
