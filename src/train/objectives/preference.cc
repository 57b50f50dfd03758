#include "train/objectives/preference.h"

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "train/interval.h"
#include "train/model_folder.h"
#include "train/objectives/language.h"
#include "train/objectives/preference_loss.h"
#include "train/objectives/reference.h"
#include "train/row_order.h"

namespace volant {
namespace {

// Figures of the rows that were looked at, one number a row.
struct Figures {
  std::vector<double> loss, weight, accuracy, margin, reward_chosen, reward_rejected, log_prob_accuracy;
  double divergence = 0;

  double loss_sum() const { return std::inner_product(loss.begin(), loss.end(), weight.begin(), 0.0); }
  double weight_sum() const { return std::accumulate(weight.begin(), weight.end(), 0.0); }
};

double mean(const std::vector<double>& values) {
  return values.empty()
             ? 0
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
// Rewards nearer than this are equal: the reference's log-probabilities are kept to 2^-32 (reference.cc), so
// that those of the model that a run starts from are not all exactly nothing.
constexpr double kTie = 1e-8;
// 1 when a leads, 0 when b does.
double leads(double a, double b) { return a > b + kTie ? 1 : b > a + kTie ? 0 : 0.5; }

// A row, and its log-probabilities under the reference.
struct RowInUse {
  const PreferenceRow* row;
  std::array<double, 2> reference;
};

class PreferenceObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return targets(train_); }
  int64_t steps_of_an_epoch() override { return order_->steps_of_an_epoch(job_.tokens_per_step, size_of_); }
  Status prepare(const TorchModel& starting_model) override;
  Result<StepLoss> step(TorchModel& model) override;
  bool can_evaluate() const override { return !validation_.empty(); }
  uint64_t n_validation_targets() const override { return targets(validation_); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return order_->state(); }
  Status restore(const Json& state) override { return order_->restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, std::max(job_.micro_batch_tokens, 2 * job_.max_seq_len));
  }

 private:
  PreferenceObjective(const TrainJob& job, const Tokenizer& tokenizer) : job_(job), tokenizer_(tokenizer) {}
  bool judged() const { return job_.preference.loss == PreferenceJob::Loss::kKto; }
  // The answers that the loss is a function of.
  AnswerRange learned() const { return judged() ? AnswerRange{0, 1} : AnswerRange{0, 2}; }
  uint64_t targets(const std::vector<PreferenceRow>& rows) const;
  std::vector<RowInUse> in_use(const std::vector<PreferenceRow>& all, const AnswerSums& reference,
                               const std::vector<uint32_t>& rows) const;
  // KTO's z: mean of log p - log q over other prompts' answers, 0 at least.
  Result<double> divergence(const TorchModel& model, const std::vector<RowInUse>& rows) const;
  // The loss of a micro batch's rows, into the figures; gradient empty: not asked for.
  double loss_of(std::span<const RowInUse> rows, const AnswerBatch& batch, std::span<const double> log_p,
                 std::span<double> gradient, Figures& figures) const;
  void pair_figures(const RowInUse& use, const AnswerLogProb& chosen, const AnswerLogProb& rejected,
                    const PairLoss& loss, Figures& figures) const;
  // Calls use(rows of the micro batch, batch) for all rows.
  Status for_each_batch(
      const std::vector<RowInUse>& rows,
      const std::function<Status(std::span<const RowInUse>, const AnswerBatch&)>& use) const;

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  std::vector<PreferenceRow> train_, validation_;
  const RowOrder::RowSize size_of_ = [this](uint32_t row) {
    return answer_tokens(train_[row], learned(), job_.max_seq_len);
  };
  ReferenceLogProbs reference_;
  std::optional<RowOrder> order_;
};

Result<std::unique_ptr<Objective>> PreferenceObjective::make(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  if (context.tokenizer == nullptr || context.config.output != ModelOutput::kNextToken)
    return fail(ErrorCode::kInvalidArgument, "expected a language model with a tokenizer, got {}",
                context.config.architecture);
  if (job.label_smoothing > 0 || job.z_loss > 0 || job.neftune_alpha > 0)
    return fail(
        ErrorCode::kInvalidArgument,
        "the objective 'preference' has no 'label_smoothing', 'z_loss' or 'neftune_alpha' of the next "
        "token; 'preference' has a label_smoothing of its own");
  std::unique_ptr<PreferenceObjective> objective(new PreferenceObjective(job, *context.tokenizer));
  const ChatTemplate chat_template = TRY(chat_template_of(job));
  const auto rows = [&](const Path& file) {
    return preference_rows(file, job, *context.tokenizer, chat_template);
  };
  objective->train_ = TRY(rows(job.train_rows));
  if (!job.validation_rows.empty()) objective->validation_ = TRY(rows(job.validation_rows));
  const auto& train = objective->train_;
  if (std::none_of(train.begin(), train.end(), [](const PreferenceRow& row) { return row.weight > 0; }))
    return fail(ErrorCode::kInvalidArgument, "expected rows to learn from, got none of a weight above 0")
        .at(job.train_rows.string());
  if (!job.validation_rows.empty() && objective->validation_.empty())
    log_warning("the validation set is empty: training without evaluation");
  objective->order_.emplace(objective->train_.size(), job.seed);
  return std::unique_ptr<Objective>(std::move(objective));
}

uint64_t PreferenceObjective::targets(const std::vector<PreferenceRow>& rows) const {
  uint64_t n = 0;
  for (const PreferenceRow& row : rows)
    for (size_t a = learned().begin; a < learned().end; ++a) {
      const std::vector<float>& weights = row.answers[a].weights;
      n += static_cast<uint64_t>(
          std::count_if(weights.begin() + 1, weights.end(), [](float w) { return w > 0; }));
    }
  return n;
}

Status PreferenceObjective::prepare(const TorchModel& starting_model) {
  if (job_.preference.needs_reference()) {
    reference_ = TRY(reference_log_probs(starting_model, job_, train_, validation_));
  } else {
    reference_ = {AnswerSums(train_.size()), AnswerSums(validation_.size())};
  }
  return {};
}

std::vector<RowInUse> PreferenceObjective::in_use(const std::vector<PreferenceRow>& all,
                                                  const AnswerSums& reference,
                                                  const std::vector<uint32_t>& rows) const {
  std::vector<RowInUse> out;
  for (const uint32_t row : rows) out.push_back({&all[row], reference[row]});
  return out;
}

Result<double> PreferenceObjective::divergence(const TorchModel& model,
                                               const std::vector<RowInUse>& rows) const {
  std::vector<const PreferenceRow*> only;
  for (const RowInUse& use : rows) only.push_back(use.row);
  const AnswerSums sums = TRY(answer_log_probs(model, only, {1, 2}, job_));
  double sum = 0;
  for (size_t i = 0; i < rows.size(); ++i) sum += sums[i][1] - rows[i].reference[1];
  return std::max(0.0, sum / static_cast<double>(rows.size()));
}

Status PreferenceObjective::for_each_batch(
    const std::vector<RowInUse>& rows,
    const std::function<Status(std::span<const RowInUse>, const AnswerBatch&)>& use) const {
  std::vector<const PreferenceRow*> only;
  for (const RowInUse& each : rows) only.push_back(each.row);
  const std::vector<size_t> groups = group_rows(only, learned(), job_.max_seq_len, job_.micro_batch_tokens);
  for (size_t g = 0; g + 1 < groups.size(); ++g) {
    const size_t begin = groups[g], n = groups[g + 1] - begin;
    TRY(use(std::span(rows).subspan(begin, n),
            answer_batch(std::span(only).subspan(begin, n), learned(), job_.max_seq_len)));
  }
  return {};
}

void PreferenceObjective::pair_figures(const RowInUse& use, const AnswerLogProb& chosen,
                                       const AnswerLogProb& rejected, const PairLoss& loss,
                                       Figures& figures) const {
  figures.loss.push_back(loss.loss);
  figures.weight.push_back(use.row->weight);
  figures.accuracy.push_back(leads(loss.reward_chosen, loss.reward_rejected));
  figures.margin.push_back(loss.reward_chosen - loss.reward_rejected);
  figures.reward_chosen.push_back(loss.reward_chosen);
  figures.reward_rejected.push_back(loss.reward_rejected);
  figures.log_prob_accuracy.push_back(
      leads(chosen.policy / chosen.n_tokens, rejected.policy / rejected.n_tokens));
}

double PreferenceObjective::loss_of(std::span<const RowInUse> rows, const AnswerBatch& batch,
                                    std::span<const double> log_p, std::span<double> gradient,
                                    Figures& figures) const {
  double sum = 0;
  const auto answer = [&](size_t i, size_t a) {
    const size_t at = i * (learned().end - learned().begin) + a;
    return AnswerLogProb{batch.log_prob(at, log_p), rows[i].reference[a], batch.n_tokens(at)};
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    const double weight = rows[i].row->weight;
    if (judged()) {
      const bool desirable = rows[i].row->desirable;
      const JudgedLoss loss = kto_loss(job_.preference, answer(i, 0), desirable, figures.divergence);
      const double threshold = job_.preference.beta * figures.divergence;
      figures.loss.push_back(loss.loss);
      figures.weight.push_back(weight);
      figures.accuracy.push_back(desirable ? leads(loss.reward, threshold) : leads(threshold, loss.reward));
      (desirable ? figures.reward_chosen : figures.reward_rejected).push_back(loss.reward);
      if (!gradient.empty()) batch.spread(i, weight * loss.d_answer, gradient);
      sum += weight * loss.loss;
    } else {
      const AnswerLogProb chosen = answer(i, 0), rejected = answer(i, 1);
      const PairLoss loss = pair_loss(job_.preference, chosen, rejected);
      pair_figures(rows[i], chosen, rejected, loss, figures);
      if (!gradient.empty()) {
        batch.spread(2 * i, weight * loss.d_chosen, gradient);
        batch.spread(2 * i + 1, weight * loss.d_rejected, gradient);
      }
      sum += weight * loss.loss;
    }
  }
  return sum;
}

Result<StepLoss> PreferenceObjective::step(TorchModel& model) {
  std::vector<RowInUse> rows;
  double weight = 0;
  while (weight <= 0) {  // some row has a weight, so an epoch at most
    rows = in_use(train_, reference_.train, order_->take(job_.tokens_per_step, size_of_));
    for (const RowInUse& use : rows) weight += use.row->weight;
  }
  Figures figures;
  if (judged()) figures.divergence = TRY(divergence(model, rows));
  StepLoss result;
  TRY(for_each_batch(rows, [&](std::span<const RowInUse> part, const AnswerBatch& batch) -> Status {
    TRY(model.log_prob_loss_and_gradient(
        batch.batch.view(), batch.batch.targets,
        [&](std::span<const double> log_p, std::span<double> gradient) {
          return loss_of(part, batch, log_p, gradient, figures);
        },
        static_cast<float>(1 / weight)));
    result.tokens += batch.batch.n_real;
    result.flops += batch_flops(model.config(), batch.batch);
    return {};
  }));
  result.loss = figures.loss_sum() / figures.weight_sum();
  result.metrics = {{"accuracy", mean(figures.accuracy)},
                    {"margin", mean(figures.reward_chosen) - mean(figures.reward_rejected)},
                    {"reward_chosen", mean(figures.reward_chosen)},
                    {"reward_rejected", mean(figures.reward_rejected)}};
  if (judged()) result.metrics["divergence"] = figures.divergence;
  return result;
}

Result<Evaluation> PreferenceObjective::evaluate(TorchModel& model) {
  std::vector<uint32_t> all;
  int64_t tokens = 0;
  for (uint32_t i = 0; i < validation_.size() && tokens < job_.evaluate_tokens; ++i) {
    all.push_back(i);
    tokens += answer_tokens(validation_[i], learned(), job_.max_seq_len);
  }
  const std::vector<RowInUse> rows = in_use(validation_, reference_.validation, all);
  Figures figures;
  if (judged()) figures.divergence = TRY(divergence(model, rows));
  TRY(for_each_batch(rows, [&](std::span<const RowInUse> part, const AnswerBatch& batch) -> Status {
    const std::vector<double> log_p = TRY(model.log_probs(batch.batch.view(), batch.batch.targets));
    loss_of(part, batch, log_p, {}, figures);
    return {};
  }));
  if (figures.weight_sum() <= 0)
    return fail(ErrorCode::kInvalidArgument, "nothing to evaluate: all rows have the weight 0");
  Evaluation result{figures.loss_sum() / figures.weight_sum(), 0, {{"rows", rows.size()}}};
  result.metrics["accuracy"] = mean_with_interval(figures.accuracy);
  result.metrics["reward_chosen"] = mean(figures.reward_chosen);
  result.metrics["reward_rejected"] = mean(figures.reward_rejected);
  if (judged()) {
    result.metrics["divergence"] = figures.divergence;
  } else {
    result.metrics["margin"] = mean_with_interval(figures.margin);
    result.metrics["log_prob_accuracy"] = mean_with_interval(figures.log_prob_accuracy);
    result.by_row = {{"margin", std::move(figures.margin), true},
                     {"log_prob_accuracy", std::move(figures.log_prob_accuracy), true}};
  }
  result.by_row.push_back({"accuracy", std::move(figures.accuracy), true});
  return result;
}

std::vector<std::vector<Objective::Piece>> PreferenceObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i)
    for (size_t a = learned().begin; a < learned().end; ++a)
      examples.push_back(pieces_of(train_[i].answers[a], tokenizer_));
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_preference_objective(const ObjectiveContext& context) {
  return PreferenceObjective::make(context);
}

}  // namespace volant
