#include "train/objectives/predict.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/clock.h"
#include "models/network_plan.h"
#include "tasks/predictor.h"
#include "train/model_folder.h"
#include "train/objectives/language.h"
#include "train/objectives/predict_batch.h"
#include "train/objectives/predict_config.h"
#include "train/objectives/predict_figures.h"
#include "train/objectives/shares.h"
#include "train/plan.h"
#include "train/regularise.h"
#include "train/row_order.h"

namespace volant {
namespace {

constexpr size_t kEvaluatedAtATime = 256;  // rows of numbers
constexpr size_t kParityRows = 256;
constexpr double kParityTolerance = 1e-3, kRoundedParityTolerance = 3e-2;  // relative to the largest output
constexpr size_t kShownBytes = 300;
constexpr uint64_t kShiftSalt = 0x5EEDF00DULL,
                   kSpread = 0x9E3779B97F4A7C15ULL;  // seeds of noise on embeddings

// A step has so many rows, however long they are.
const RowOrder::RowSize kOneEach = [](uint32_t) { return int64_t{1}; };

LossOutputs outputs_of(Problem problem) {
  switch (problem) {
    case Problem::kClasses:
      return LossOutputs::kEachLabel;
    case Problem::kBinary:
      return LossOutputs::kOneScore;
    case Problem::kNumber:
      break;
  }
  return LossOutputs::kNumber;
}

class PredictObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return train_.size(); }
  int64_t steps_of_an_epoch() override { return order_->steps_of_an_epoch(how_.batch_size, kOneEach); }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_evaluate() const override { return validation_.size() > 0; }
  uint64_t n_validation_targets() const override { return validation_.size(); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  std::string judged_by() const override { return how_.judge_by == "loss" ? "loss" : "error rate"; }
  Json state() const override { return order_->state(); }
  Status restore(const Json& state) override { return order_->restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override;
  const char* unit() const override { return "examples"; }
  double rows_of_a_step(const TrainJob& job) const override;
  Status complete(const Path& model_folder, const Path& run) override;

 private:
  explicit PredictObjective(const ObjectiveContext& context)
      : job_(context.job),
        how_(context.job.predict),
        config_(context.config),
        ranks_(context.ranks),
        pool_(threads_of_rank(context.job.n_threads, context.ranks.local_size())) {}
  Status check_ranks() const;
  Status load();
  Status choose_loss();
  int64_t n_train() const { return static_cast<int64_t>(train_.size()); }
  double weight_of(std::span<const uint32_t> rows);
  // Adds the gradient of scale * sum of the batch's loss; gives the sum and counts the labels that are right.
  Result<double> learn(TorchModel& model, double scale, double& n_right);
  // The batches of some of a step's rows.
  std::vector<std::vector<uint32_t>> passes(const std::vector<uint32_t>& rows) const;
  // Moves a share of the rows by epsilon against the loss (the sign of its gradient), as the model is now:
  // numbers in the batch, embeddings of tokens by shift_.
  Status attack(TorchModel& model);
  // Of rows as they are.
  Result<std::vector<float>> outputs(const TorchModel& model, const PredictRows& rows,
                                     std::span<const uint32_t> some);
  // Of validation rows; each process computes its share.
  Result<std::vector<float>> shared_outputs(const TorchModel& model, const std::vector<uint32_t>& some);
  std::string answer_of(size_t row) const;

  const TrainJob& job_;
  const PredictJob& how_;
  const ModelConfig config_;
  const Ranks& ranks_;
  ThreadPool pool_;
  std::unique_ptr<InputEncoder> encoder_;
  std::unique_ptr<Augmenter> augmenter_;
  PredictRows train_, validation_;
  const LossKind* loss_ = nullptr;
  LossSettings settings_;
  Changes changes_;
  std::optional<PredictBatches> batches_;
  PredictBatch batch_;
  EmbeddingShift shift_;          // of the batch's tokens
  std::vector<float> direction_;  // what it points at
  std::optional<RowOrder> order_;
};

Result<std::unique_ptr<Objective>> PredictObjective::make(const ObjectiveContext& context) {
  std::unique_ptr<PredictObjective> objective(new PredictObjective(context));
  if (context.config.output != ModelOutput::kLabels || context.config.rows_read() == RowsRead::kAny)
    return fail(ErrorCode::kInvalidArgument, "expected a model that predicts for whole inputs, got {}",
                context.config.architecture);
  TRY(objective->check_ranks());
  TRY(objective->load());
  TRY(objective->choose_loss());
  return std::unique_ptr<Objective>(std::move(objective));
}

// Batch norm's means are those of a pass, of which each process would have others.
Status PredictObjective::check_ranks() const {
  if (ranks_.size() == 1) return {};
  for (const TensorSpec& spec : tensor_specs(config_))
    if (spec.role == TensorRole::kStatistic)
      return fail(ErrorCode::kUnsupported,
                  "a network with batch norm ({}) trains in one process, not in {}; layer norm goes by rows",
                  spec.name, ranks_.size());
  return {};
}

Status PredictObjective::load() {
  encoder_ = TRY(open_encoder(job_));
  if (!how_.augment.empty()) augmenter_ = TRY(find_task(how_.task)->augmenter(how_.augment, *encoder_));
  train_ = TRY(read_predict_rows(job_.train_rows, *encoder_, config_, augmenter_ != nullptr, pool_));
  if (!job_.validation_rows.empty())
    validation_ = TRY(read_predict_rows(job_.validation_rows, *encoder_, config_, false, pool_));
  changes_ = {augmenter_.get(), how_.input_noise, job_.seed};
  batches_.emplace(train_, config_.rows_read(), job_.micro_batch_tokens, pool_);
  order_.emplace(train_.size(), job_.seed);
  return {};
}

Status PredictObjective::choose_loss() {
  const LossOutputs given = outputs_of(problem_of(config_));
  loss_ = how_.loss.empty() ? &default_loss(given) : find_loss(how_.loss);
  if (!loss_->takes(given)) {
    std::string others;
    for (const LossKind& kind : losses())
      if (kind.takes(given)) others += std::string(others.empty() ? "" : " or ") + kind.name;
    return fail(ErrorCode::kInvalidArgument, "'loss': {} does not go with a {}: expected {}", loss_->name,
                problem_name(problem_of(config_)), others);
  }
  const bool number = given == LossOutputs::kNumber;
  if (job_.label_smoothing > 0 && !loss_->smooths)
    return fail(ErrorCode::kInvalidArgument, "'label_smoothing' is of no use with {}", loss_->name);
  if (number && how_.class_weights.given())
    return fail(ErrorCode::kInvalidArgument, "'class_weights' are of no use with numbers");
  if (number && how_.judge_by != "loss")
    return fail(ErrorCode::kInvalidArgument, "'judge_by': numbers have no accuracy: expected \"loss\"");
  settings_ = {job_.label_smoothing, how_.focal_gamma, {}};
  std::vector<double> counts(config_.labels.size());
  for (const int32_t label : train_.labels) counts[static_cast<size_t>(label)] += 1;
  settings_.class_weights = TRY(weights_of_classes(how_.class_weights, config_.labels, counts));
  return {};
}

double PredictObjective::weight_of(std::span<const uint32_t> rows) {
  double weight = 0;
  for (const uint32_t row : rows)
    weight += train_.weights[row] * (train_.labels.empty() ? 1 : settings_.weight(train_.labels[row]));
  return weight;
}

Result<double> PredictObjective::learn(TorchModel& model, double scale, double& n_right) {
  const auto loss = [&](std::span<const float> outputs, std::span<float> gradient) {
    if (!batch_.labels.empty()) {
      const std::vector<int32_t> guesses = decided_labels(config_, outputs);
      for (size_t i = 0; i < guesses.size(); ++i) n_right += guesses[i] == batch_.labels[i] ? 1 : 0;
    }
    return loss_->sum(settings_, outputs, batch_.targets(), gradient);
  };
  return model.output_loss_and_gradient(batch_.view(), loss, static_cast<float>(scale), shift_);
}

Status PredictObjective::attack(TorchModel& model) {
  const auto n =
      static_cast<size_t>(std::ceil(how_.adversarial_share * static_cast<double>(batch_.weights.size())));
  const auto first = [&](const auto& all) { return std::span(all).first(std::min(n, all.size())); };
  const LossTargets targets{first(batch_.labels), first(batch_.numbers), first(batch_.weights)};
  const auto loss = [&](std::span<const float> outputs, std::span<float> gradient) {
    return loss_->sum(settings_, outputs, targets, gradient);
  };
  std::vector<float> gradient = TRY(model.input_gradient(batch_.first(n), loss, shift_));
  const auto epsilon = static_cast<float>(how_.adversarial_epsilon);
  for (float& g : gradient) g = g > 0 ? epsilon : g < 0 ? -epsilon : 0;
  for (size_t i = 0; i < gradient.size() && train_.columns > 0; ++i) batch_.features[i] += gradient[i];
  if (train_.columns > 0) return {};
  direction_ = std::move(gradient);
  shift_.direction = direction_;
  return {};
}

std::vector<std::vector<uint32_t>> PredictObjective::passes(const std::vector<uint32_t>& rows) const {
  std::vector<std::vector<uint32_t>> all;
  for (std::span<const uint32_t> left = rows; !left.empty();) {
    const size_t n = batches_->n_in_one(left, rows.size());
    all.emplace_back(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(n));
    left = left.subspan(n);
  }
  return all;
}

Result<StepLoss> PredictObjective::step(TorchModel& model) {
  StepLoss result;
  std::vector<uint32_t> rows;
  uint64_t taken = 0;
  double weight = 0, n_right = 0;
  // Rows of weight 0 alone teach nothing.
  for (size_t tried = 0; weight <= 0; tried += rows.size()) {
    if (tried > train_.size())
      return fail(ErrorCode::kInvalidArgument, "nothing to learn: the weights of all rows are 0");
    taken = order_->taken();
    rows = order_->take(how_.batch_size, kOneEach);
    weight = weight_of(rows);
  }
  const uint64_t epoch = taken / train_.size();
  const auto mine = own_passes(rows, kOneEach, ranks_, model,
                               [this](const std::vector<uint32_t>& share) { return passes(share); });
  // What is added when the passes are over belongs into the sums too: those then begin later.
  const bool adds = how_.l1 > 0 || how_.gradient_noise > 0;
  if (adds) model.expect_passes(0, 0);
  for (const std::vector<uint32_t>& pass : mine) {
    const double begin = steady_seconds();
    batches_->fill(pass, changes_, epoch, batch_);
    result.waited += steady_seconds() - begin;
    const auto at = static_cast<uint64_t>(std::ranges::find(rows, pass.front()) - rows.begin());
    shift_ = {.direction = {},
              .noise = static_cast<float>(how_.input_noise),
              .seed = (job_.seed + kShiftSalt) * kSpread + taken + at};
    if (how_.adversarial_epsilon > 0) TRY(attack(model));
    result.loss += TRY(learn(model, 1 / weight, n_right));
    result.flops += 3 * config_.row_flops(true) * static_cast<double>(batch_.n_tokens);
    result.tokens += std::ssize(pass);
  }
  result.loss /= weight;
  if (how_.l1 > 0 && ranks_.first()) add_l1_gradient(model, how_.l1);
  if (how_.gradient_noise > 0 && ranks_.first()) {
    const uint64_t done = epoch * static_cast<uint64_t>(steps_of_an_epoch()) +
                          taken % train_.size() / static_cast<uint64_t>(how_.batch_size);
    add_gradient_noise(model, how_.gradient_noise, job_.seed, done);
  }
  if (!train_.labels.empty()) result.metrics = {{"accuracy", n_right / static_cast<double>(rows.size())}};
  return result;
}

Result<std::vector<float>> PredictObjective::outputs(const TorchModel& model, const PredictRows& rows,
                                                     std::span<const uint32_t> some) {
  const PredictBatches batches(rows, config_.rows_read(), job_.micro_batch_tokens, pool_);
  std::vector<float> all;
  for (std::span<const uint32_t> left = some; !left.empty();) {
    const size_t n = batches.n_in_one(left, kEvaluatedAtATime);
    batches.fill(left.first(n), batch_);
    const std::vector<float> outputs = TRY(model.output(batch_.view()));
    all.insert(all.end(), outputs.begin(), outputs.end());
    left = left.subspan(n);
  }
  return all;
}

namespace {
// So many of n rows, evenly spread.
std::vector<uint32_t> spread_rows(size_t n, size_t wanted) {
  std::vector<uint32_t> rows(std::min(n, wanted));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(i * n / rows.size());
  return rows;
}
template <class T>
std::vector<T> those_of(const std::vector<T>& all, std::span<const uint32_t> rows) {
  std::vector<T> some;
  for (const uint32_t row : rows)
    if (!all.empty()) some.push_back(all[row]);
  return some;
}
}  // namespace

Result<std::vector<float>> PredictObjective::shared_outputs(const TorchModel& model,
                                                            const std::vector<uint32_t>& some) {
  if (ranks_.size() == 1) return outputs(model, validation_, some);
  const auto width = static_cast<size_t>(n_outputs(config_));
  std::vector<double> all(some.size() * width);
  size_t at = 0;
  for (int rank = 0; rank < ranks_.rank(); ++rank) at += share_of(some, kOneEach, rank, ranks_.size()).size();
  const std::vector<float> mine =
      TRY(outputs(model, validation_, share_of(some, kOneEach, ranks_.rank(), ranks_.size())));
  std::ranges::copy(mine, all.begin() + static_cast<std::ptrdiff_t>(at * width));
  TRY(ranks_.sum(all));
  return std::vector<float>(all.begin(), all.end());
}

Result<Evaluation> PredictObjective::evaluate(TorchModel& model) {
  int64_t tokens = 0;
  for (size_t row = 0; row < validation_.size(); ++row) tokens += validation_.n_tokens(row);
  const double share = std::min(1.0, static_cast<double>(job_.evaluate_tokens) / static_cast<double>(tokens));
  const std::vector<uint32_t> some = spread_rows(
      validation_.size(), static_cast<size_t>(std::ceil(share * static_cast<double>(validation_.size()))));
  const std::vector<float> all = TRY(shared_outputs(model, some));
  const std::vector<int32_t> labels = those_of(validation_.labels, some);
  const std::vector<double> numbers = those_of(validation_.numbers, some),
                            weights = those_of(validation_.weights, some);
  const LossTargets targets{labels, numbers, weights};
  std::vector<float> ignored(all.size());
  const double weight = targets.total_weight(settings_);
  Evaluation result;
  result.loss = weight > 0 ? loss_->sum(settings_, all, targets, ignored) / weight : 0;
  result.metrics = prediction_figures(config_, all, targets);
  result.by_row = {prediction_by_row(config_, all, targets)};
  if (how_.judge_by == "accuracy")
    result.judged = 1 - result.metrics.at("accuracy").at("value").to_number<double>();
  return result;
}

std::string PredictObjective::answer_of(size_t row) const {
  if (!train_.labels.empty()) return config_.labels[static_cast<size_t>(train_.labels[row])];
  return fmt::format("{:g}", number_of(config_, static_cast<float>(train_.numbers[row])));
}

std::vector<std::vector<Objective::Piece>> PredictObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < std::min(train_.inputs.size(), kShownRows) && std::cmp_less(i, n_examples); ++i)
    examples.push_back(
        {{shortened(dump_json(train_.inputs[i]), kShownBytes), false}, {" -> " + answer_of(i), true}});
  return examples;
}

double PredictObjective::rows_of_a_step(const TrainJob&) const {
  double tokens = 0;
  for (size_t row = 0; row < train_.size(); ++row) tokens += static_cast<double>(train_.n_tokens(row));
  return static_cast<double>(std::min(how_.batch_size, n_train())) * tokens / static_cast<double>(n_train());
}

// Of networks what they keep and its gradients.
uint64_t PredictObjective::activation_bytes(const ModelConfig& config) const {
  const int64_t rows = train_.columns > 0 ? how_.batch_size : job_.micro_batch_tokens;
  const auto* network = std::get_if<NetworkFields>(&config.own);
  if (network == nullptr) return activation_bytes_of(config, rows);
  const auto plan = plan_network(*network, network->reads_tokens() ? config.vocab_size : 0);
  return plan ? 2 * sizeof(float) * static_cast<uint64_t>(plan->n_activations * rows) : 0;
}

Status PredictObjective::complete(const Path& model_folder, const Path& run) {
  TRY(encoder_->save(model_folder));
  const PredictRows& rows = validation_.size() > 0 ? validation_ : train_;
  const std::vector<uint32_t> some = spread_rows(rows.size(), kParityRows);
  std::vector<EncodedInput> inputs;
  for (const uint32_t row : some) inputs.push_back(rows.encoded(row));
  const TorchModel finished = TRY(open_torch_model(model_folder, /*bf16=*/false));
  const std::vector<float> trained = TRY(outputs(finished, rows, some));
  const auto predictor = TRY(Predictor::load(model_folder, {.n_threads = job_.n_threads}));
  const PredictionParity parity = prediction_parity(config_, trained, TRY(predictor->outputs(inputs)));
  TRY(write_file_atomic(run / "parity.json", dump_json_pretty(parity.to_json())));
  const double most = job_.save_dtype == "f32" ? kParityTolerance : kRoundedParityTolerance;
  if (parity.relative <= most) return {};
  return fail(ErrorCode::kInternal,
              "the finished model gives other outputs without libtorch: they differ by {:.3g}, {:.3g} of the "
              "largest one, expected at most {:g}",
              parity.max_abs_difference, parity.relative, most);
}

}  // namespace

Result<std::unique_ptr<Objective>> make_predict_objective(const ObjectiveContext& context) {
  return PredictObjective::make(context);
}

}  // namespace volant
