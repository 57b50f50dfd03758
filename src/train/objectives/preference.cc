#include "train/objectives/preference.h"

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "train/interval.h"
#include "train/model_folder.h"
#include "train/objectives/language.h"
#include "train/objectives/preference_loss.h"
#include "train/objectives/reference.h"
#include "train/objectives/shares.h"
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

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
double mean(const std::vector<double>& values) {
  return values.empty() ? 0 : sum_of(values) / static_cast<double>(values.size());
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

// A micro batch: some rows, and their answers.
struct Part {
  std::vector<RowInUse> rows;
  AnswerBatch answers;
};

class PreferenceObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return targets(train_); }
  int64_t steps_of_an_epoch() override { return order_->steps_of_an_epoch(job_.tokens_per_step, size_of_); }
  Status prepare(const TorchModel& starting_model) override;
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_share_weights() const override { return true; }
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
  explicit PreferenceObjective(const ObjectiveContext& context)
      : job_(context.job), tokenizer_(*context.tokenizer), ranks_(context.ranks) {}
  bool judged() const { return job_.preference.loss == PreferenceJob::Loss::kKto; }
  // The answers that the loss is a function of.
  AnswerRange learned() const { return judged() ? AnswerRange{0, 1} : AnswerRange{0, 2}; }
  uint64_t targets(const std::vector<PreferenceRow>& rows) const;
  // Micro batches of some rows with those of their answers.
  std::vector<Part> parts_of(const std::vector<PreferenceRow>& all, const AnswerSums& reference,
                             const std::vector<uint32_t>& rows, AnswerRange answers) const;
  // log p of each answer of a part.
  Result<std::vector<double>> answers_of(const TorchModel& model, const Part& part) const;
  // KTO's z: mean of log p - log q over other prompts' answers, 0 at least.
  Result<double> divergence(TorchModel& model, const std::vector<PreferenceRow>& all,
                            const AnswerSums& reference, const std::vector<uint32_t>& rows) const;
  // The loss of a part from log p of its answers, into the figures, and its derivative by each of them.
  double loss_of(const Part& part, std::span<const double> answers, std::span<double> derivative,
                 Figures& figures) const;
  void pair_figures(const RowInUse& use, const AnswerLogProb& chosen, const AnswerLogProb& rejected,
                    const PairLoss& loss, Figures& figures) const;
  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
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
  std::unique_ptr<PreferenceObjective> objective(new PreferenceObjective(context));
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
    // Rank 0 writes them down, where the others find them.
    if (!ranks_.first()) TRY(ranks_.meet_again());
    reference_ = TRY(reference_log_probs(starting_model, job_, train_, validation_));
    if (ranks_.first()) TRY(ranks_.meet_again());
  } else {
    reference_ = {AnswerSums(train_.size()), AnswerSums(validation_.size())};
  }
  return {};
}

std::vector<Part> PreferenceObjective::parts_of(const std::vector<PreferenceRow>& all,
                                                const AnswerSums& reference,
                                                const std::vector<uint32_t>& rows,
                                                AnswerRange answers) const {
  std::vector<const PreferenceRow*> only;
  for (const uint32_t row : rows) only.push_back(&all[row]);
  const std::vector<size_t> groups = group_rows(only, answers, job_.max_seq_len, job_.micro_batch_tokens);
  std::vector<Part> parts;
  for (size_t g = 0; g + 1 < groups.size(); ++g) {
    const size_t n = groups[g + 1] - groups[g];
    Part& part = parts.emplace_back();
    part.answers = answer_batch(std::span(only).subspan(groups[g], n), answers, job_.max_seq_len);
    for (size_t i = groups[g]; i < groups[g + 1]; ++i) part.rows.push_back({only[i], reference[rows[i]]});
  }
  return parts;
}

Result<std::vector<double>> PreferenceObjective::answers_of(const TorchModel& model, const Part& part) const {
  const TrainBatch& batch = part.answers.batch;
  const std::vector<double> log_p = TRY(model.log_probs(batch.view(), batch.targets));
  std::vector<double> sums;
  for (size_t a = 0; a < part.answers.size(); ++a) sums.push_back(part.answers.log_prob(a, log_p));
  return sums;
}

Result<double> PreferenceObjective::divergence(TorchModel& model, const std::vector<PreferenceRow>& all,
                                               const AnswerSums& reference,
                                               const std::vector<uint32_t>& rows) const {
  const std::vector<Part> parts = parts_of(all, reference, rows, {1, 2});
  const auto sums = TRY(in_turn(
      ranks_, model, parts.size(), [&](size_t p) { return parts[p].rows.size(); },
      [&](size_t p) { return answers_of(model, parts[p]); }));
  double sum = 0;
  for (size_t p = 0; p < parts.size(); ++p)
    for (size_t i = 0; i < parts[p].rows.size(); ++i) sum += sums[p][i] - parts[p].rows[i].reference[1];
  return std::max(0.0, sum / static_cast<double>(rows.size()));
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

double PreferenceObjective::loss_of(const Part& part, std::span<const double> answers,
                                    std::span<double> derivative, Figures& figures) const {
  double sum = 0;
  const auto answer = [&](size_t i, size_t a) {
    const size_t at = i * (learned().end - learned().begin) + a;
    return AnswerLogProb{answers[at], part.rows[i].reference[a], part.answers.n_tokens(at)};
  };
  for (size_t i = 0; i < part.rows.size(); ++i) {
    const RowInUse& use = part.rows[i];
    const double weight = use.row->weight;
    if (judged()) {
      const bool desirable = use.row->desirable;
      const JudgedLoss loss = kto_loss(job_.preference, answer(i, 0), desirable, figures.divergence);
      const double threshold = job_.preference.beta * figures.divergence;
      figures.loss.push_back(loss.loss);
      figures.weight.push_back(weight);
      figures.accuracy.push_back(desirable ? leads(loss.reward, threshold) : leads(threshold, loss.reward));
      (desirable ? figures.reward_chosen : figures.reward_rejected).push_back(loss.reward);
      derivative[i] = weight * loss.d_answer;
      sum += weight * loss.loss;
    } else {
      const AnswerLogProb chosen = answer(i, 0), rejected = answer(i, 1);
      const PairLoss loss = pair_loss(job_.preference, chosen, rejected);
      pair_figures(use, chosen, rejected, loss, figures);
      derivative[2 * i] = weight * loss.d_chosen;
      derivative[2 * i + 1] = weight * loss.d_rejected;
      sum += weight * loss.loss;
    }
  }
  return sum;
}

Result<StepLoss> PreferenceObjective::step(TorchModel& model) {
  std::vector<uint32_t> rows;
  double weight = 0;
  while (weight <= 0) {  // some row has a weight, so an epoch at most
    rows = order_->take(job_.tokens_per_step, size_of_);
    for (const uint32_t row : rows) weight += train_[row].weight;
  }
  Figures figures;
  if (judged()) figures.divergence = TRY(divergence(model, train_, reference_.train, rows));
  const auto make = [&](const std::vector<uint32_t>& share) {
    return parts_of(train_, reference_.train, share, learned());
  };
  StepLoss result;
  for (const Part& part : own_passes(rows, size_of_, ranks_, model, make)) {
    const auto loss = [&](std::span<const double> log_p, std::span<double> gradient) {
      std::vector<double> answers, derivative(part.answers.size());
      for (size_t a = 0; a < part.answers.size(); ++a) answers.push_back(part.answers.log_prob(a, log_p));
      const double sum = loss_of(part, answers, derivative, figures);
      for (size_t a = 0; a < part.answers.size(); ++a) part.answers.spread(a, derivative[a], gradient);
      return sum;
    };
    const TrainBatch& batch = part.answers.batch;
    TRY(model.log_prob_loss_and_gradient(batch.view(), batch.targets, loss, static_cast<float>(1 / weight)));
    result.tokens += batch.n_real;
    result.flops += batch_flops(model.config(), batch);
  }
  result.loss = figures.loss_sum() / weight;
  // Means over the rows of all processes, each of which gives its share.
  const auto n = static_cast<double>(rows.size());
  const auto n_chosen = static_cast<double>(
      std::ranges::count_if(rows, [&](uint32_t row) { return !judged() || train_[row].desirable; }));
  const auto share = [](const std::vector<double>& values, double of) {
    return of > 0 ? sum_of(values) / of : 0;
  };
  const double chosen = share(figures.reward_chosen, n_chosen),
               rejected = share(figures.reward_rejected, judged() ? n - n_chosen : n);
  result.metrics = {{"accuracy", share(figures.accuracy, n)},
                    {"margin", chosen - rejected},
                    {"reward_chosen", chosen},
                    {"reward_rejected", rejected}};
  if (judged()) result.metrics["divergence"] = ranks_.first() ? figures.divergence : 0.0;
  return result;
}

Result<Evaluation> PreferenceObjective::evaluate(TorchModel& model) {
  std::vector<uint32_t> rows;
  int64_t tokens = 0;
  for (uint32_t i = 0; i < validation_.size() && tokens < job_.evaluate_tokens; ++i) {
    rows.push_back(i);
    tokens += answer_tokens(validation_[i], learned(), job_.max_seq_len);
  }
  Figures figures;
  if (judged()) figures.divergence = TRY(divergence(model, validation_, reference_.validation, rows));
  const std::vector<Part> parts = parts_of(validation_, reference_.validation, rows, learned());
  const auto answers = TRY(in_turn(
      ranks_, model, parts.size(), [&](size_t p) { return parts[p].answers.size(); },
      [&](size_t p) { return answers_of(model, parts[p]); }));
  for (size_t p = 0; p < parts.size(); ++p) {
    std::vector<double> ignored(answers[p].size());
    loss_of(parts[p], answers[p], ignored, figures);
  }
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
