#include "train/objectives/grpo.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/digest.h"
#include "train/interval.h"
#include "train/model_folder.h"
#include "train/objectives/language.h"
#include "train/objectives/policy_loss.h"
#include "train/objectives/reward.h"
#include "train/prompt_rows.h"
#include "train/rollouts.h"
#include "train/row_order.h"

namespace volant {
namespace {

constexpr size_t kEvaluateSamples = 4;  // answers to each held-out prompt

struct Prompt {
  std::vector<int32_t> ids;
  std::string text, answer;
};

// One answer to learn from.
struct Sample {
  std::vector<int32_t> ids;  // prompt and answer
  int64_t n_prompt = 0;
  double reward = 0, advantage = 0;
  bool ended = false;
  std::vector<double> old, reference;  // log-probabilities of the answer's ids; empty: not known, not wanted
  size_t n_answer() const { return ids.size() - static_cast<size_t>(n_prompt); }
};

// Samples packed into one batch, samples[begin .. end - 1].
struct Part {
  TrainBatch batch;
  size_t begin = 0, end = 0;
};

// As the bits of the numbers: decimals that are read back may differ in the last one.
int64_t bits_of(double x) { return std::bit_cast<int64_t>(x); }
Json to_json(const std::vector<double>& numbers) {
  JsonArray all;
  for (const double x : numbers) all.emplace_back(bits_of(x));
  return all;
}

Json to_json(const Sample& s) {
  return JsonObject{{"ids", JsonArray(s.ids.begin(), s.ids.end())},
                    {"n_prompt", s.n_prompt},
                    {"reward", bits_of(s.reward)},
                    {"advantage", bits_of(s.advantage)},
                    {"ended", s.ended},
                    {"old", to_json(s.old)},
                    {"reference", to_json(s.reference)}};
}

Result<std::vector<double>> numbers_of(const Json& json, std::string_view key, size_t n) {
  const Json* list = json_find(json, key);
  if (list == nullptr || !list->is_array() || (!list->as_array().empty() && list->as_array().size() != n))
    return fail(ErrorCode::kParse, "'{}': expected {} numbers", key, n);
  std::vector<double> numbers;
  for (const Json& x : list->as_array()) {
    if (!x.is_int64()) return fail(ErrorCode::kParse, "'{}': expected the bits of numbers", key);
    numbers.push_back(std::bit_cast<double>(x.as_int64()));
  }
  return numbers;
}

Result<Sample> sample_of(const Json& json, int64_t n_vocab) {
  Sample s;
  const Json* ids = json_find(json, "ids");
  if (ids == nullptr || !ids->is_array()) return fail(ErrorCode::kParse, "expected 'ids'");
  for (const Json& id : ids->as_array()) {
    if (!id.is_int64() || id.as_int64() < 0 || id.as_int64() >= n_vocab)
      return fail(ErrorCode::kParse, "'ids': expected ids below {}", n_vocab);
    s.ids.push_back(static_cast<int32_t>(id.as_int64()));
  }
  s.n_prompt = TRY(json_int(json, "n_prompt"));
  if (s.n_prompt < 1 || s.n_prompt >= std::ssize(s.ids)) return fail(ErrorCode::kParse, "bad 'n_prompt'");
  s.reward = std::bit_cast<double>(TRY(json_int(json, "reward")));
  s.advantage = std::bit_cast<double>(TRY(json_int(json, "advantage")));
  s.ended = TRY(json_bool(json, "ended"));
  s.old = TRY(numbers_of(json, "old", s.n_answer()));
  s.reference = TRY(numbers_of(json, "reference", s.n_answer()));
  return s;
}

class GrpoObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override {
    return train_.size() * static_cast<uint64_t>(how_.group_size * how_.max_new_tokens);
  }
  int64_t steps_of_an_epoch() override {
    return ((std::ssize(train_) - 1) / how_.prompts_per_step + 1) * how_.inner_epochs;
  }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_evaluate() const override { return !validation_.empty(); }
  uint64_t n_validation_targets() const override {
    return validation_.size() * static_cast<uint64_t>(how_.max_new_tokens);
  }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override;
  Status restore(const Json& state) override;
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, job_.micro_batch_tokens);
  }

 private:
  GrpoObjective(const TrainJob& job, Reward reward, Rollouts rollouts)
      : job_(job), how_(job.grpo), reward_(std::move(reward)), rollouts_(std::move(rollouts)) {}
  Result<std::vector<Prompt>> read_prompts(const Path& file) const;
  Result<Prompt> read_prompt(const PromptRow& row) const;
  // New answers to the next prompts, with their rewards and advantages.
  Status sample(TorchModel& model);
  // What the model of the start says: with adapters, the frozen base.
  Status ask_reference(const TorchModel& model);
  std::vector<Part> parts() const;
  Status learn(TorchModel& model, Part& part, StepLoss& result, PolicyFigures& sums);
  JsonObject metrics(const PolicyFigures& sums) const;

  const TrainJob& job_;
  const GrpoJob& how_;
  Reward reward_;
  Rollouts rollouts_;
  std::vector<Prompt> train_, validation_;
  std::optional<RowOrder> order_;
  std::optional<TorchModel> reference_;  // where the whole model is trained
  std::vector<Sample> samples_;
  int64_t inner_ = 0;  // steps done on samples_; 0: new ones are wanted
};

Result<std::unique_ptr<Objective>> GrpoObjective::make(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  if (context.config.output != ModelOutput::kNextToken)
    return fail(ErrorCode::kInvalidArgument, "expected a language model, got {}",
                context.config.architecture);
  if (job.init_from.empty())
    return fail(ErrorCode::kInvalidArgument,
                "'model': expected 'init_from' with grpo: a model that answers right now and then");
  Rollouts rollouts = TRY(Rollouts::open(job.init_from, job.n_threads, job.max_seq_len));
  std::unique_ptr<GrpoObjective> objective(
      new GrpoObjective(job, TRY(Reward::make(job.grpo.reward, job.grpo.pattern)), std::move(rollouts)));
  objective->train_ = TRY(objective->read_prompts(job.train_rows));
  if (!job.validation_rows.empty())
    objective->validation_ = TRY(objective->read_prompts(job.validation_rows));
  objective->order_.emplace(objective->train_.size(), job.seed);
  if (job.grpo.beta > 0 && !job.trained.adapter)
    objective->reference_ = TRY(open_torch_model(job.init_from, trains_in_bf16(job)));
  return std::unique_ptr<Objective>(std::move(objective));
}

Result<Prompt> GrpoObjective::read_prompt(const PromptRow& row) const {
  const Json* answer = json_find(row.row, "answer");
  if (answer == nullptr || !(answer->is_string() || answer->is_number()))
    return fail(ErrorCode::kParse, "'answer': expected a text or a number");
  Prompt result;
  result.answer = answer->is_string() ? std::string(answer->as_string()) : dump_json(*answer);
  TRY(reward_.check(result.answer));
  result.ids = TRY(rollouts_.engine().encode_chat(row.messages));
  if (std::ssize(result.ids) >= job_.max_seq_len)
    return fail(ErrorCode::kInvalidArgument,
                "the prompt has {} tokens: no room for an answer in max_seq_len {}", result.ids.size(),
                job_.max_seq_len);
  result.text = rollouts_.engine().tokenizer().decode(result.ids, false);
  return result;
}

Result<std::vector<Prompt>> GrpoObjective::read_prompts(const Path& file) const {
  const std::vector<PromptRow> rows = TRY(read_prompt_rows(file));
  std::vector<Prompt> prompts;
  for (const PromptRow& row : rows) {
    auto prompt = read_prompt(row);
    if (!prompt) return std::move(prompt).error().at(row.place);
    prompts.push_back(std::move(*prompt));
  }
  return prompts;
}

Status GrpoObjective::sample(TorchModel& model) {
  TRY(rollouts_.follow(model));
  const auto n_group = static_cast<size_t>(how_.group_size);
  std::vector<RolloutRequest> requests;
  std::vector<const Prompt*> prompts;
  for (int64_t p = 0; p < how_.prompts_per_step; ++p) {
    const uint64_t turn = order_->taken();
    prompts.push_back(&train_[order_->next()]);
    for (size_t i = 0; i < n_group; ++i)
      requests.push_back({prompts.back()->ids, hash64(fmt::format("{} {} {}", job_.seed, turn, i))});
  }
  const std::vector<Rollout> answers = TRY(rollouts_.answers(requests, how_.max_new_tokens, 1));
  samples_.clear();
  for (size_t p = 0; p < prompts.size(); ++p) {
    std::vector<double> rewards;
    for (size_t i = 0; i < n_group; ++i)
      rewards.push_back(reward_.of(rollouts_.text(answers[p * n_group + i]), prompts[p]->answer));
    const std::vector<double> advantages = group_advantages(rewards);
    for (size_t i = 0; i < n_group; ++i) {
      const Rollout& answer = answers[p * n_group + i];
      Sample s;
      s.ids = prompts[p]->ids;
      s.n_prompt = std::ssize(s.ids);
      s.ids.insert(s.ids.end(), answer.ids.begin(), answer.ids.end());
      s.reward = rewards[i];
      s.advantage = advantages[i];
      s.ended = answer.ended;
      samples_.push_back(std::move(s));
    }
  }
  return how_.beta > 0 ? ask_reference(model) : Status();
}

Status GrpoObjective::ask_reference(const TorchModel& model) {
  for (const Part& part : parts()) {
    const Batch batch = part.batch.view();
    const std::vector<double> log_p = TRY(reference_ ? reference_->log_probs(batch, part.batch.targets)
                                                     : model.base_log_probs(batch, part.batch.targets));
    auto at = log_p.begin();
    for (size_t i = part.begin; i < part.end; ++i) {
      const auto end = at + static_cast<std::ptrdiff_t>(samples_[i].n_answer());
      samples_[i].reference.assign(at, end);
      at = end;
    }
  }
  return {};
}

std::vector<Part> GrpoObjective::parts() const {
  std::vector<Part> parts;
  for (size_t i = 0; i < samples_.size(); ++i) {
    const int64_t rows = std::ssize(samples_[i].ids) - 1;
    if (parts.empty() || parts.back().batch.n_real + rows > job_.micro_batch_tokens)
      parts.push_back({.batch = {}, .begin = i, .end = i});
    parts.back().batch.add(samples_[i].ids, static_cast<size_t>(samples_[i].n_prompt));
    parts.back().end = i + 1;
  }
  for (Part& part : parts) part.batch.pad();
  return parts;
}

Status GrpoObjective::learn(TorchModel& model, Part& part, StepLoss& result, PolicyFigures& sums) {
  const auto loss = [&](std::span<const double> log_p, std::span<double> gradient) {
    double sum = 0;
    size_t at = 0;
    for (size_t i = part.begin; i < part.end; ++i) {
      Sample& s = samples_[i];
      const size_t n = s.n_answer();
      const auto own = log_p.subspan(at, n);
      // The first step is taken by the policy that answered.
      if (s.old.empty()) s.old.assign(own.begin(), own.end());
      const PolicyFigures figures =
          policy_loss({how_.clip, how_.beta}, s.advantage, own, s.old, s.reference, gradient.subspan(at, n));
      sum += figures.loss;
      sums.kl += figures.kl;
      sums.clipped += figures.clipped;
      at += n;
    }
    return sum;
  };
  const auto scale = 1.0F / static_cast<float>(samples_.size());
  result.loss += TRY(model.log_prob_loss_and_gradient(part.batch.view(), part.batch.targets, loss, scale));
  result.tokens += part.batch.n_real;
  result.flops += batch_flops(model.config(), part.batch);
  return {};
}

JsonObject GrpoObjective::metrics(const PolicyFigures& sums) const {
  const auto n = static_cast<double>(samples_.size());
  double reward = 0, length = 0, ended = 0;
  for (const Sample& s : samples_) {
    reward += s.reward;
    length += static_cast<double>(s.n_answer());
    ended += s.ended ? 1 : 0;
  }
  JsonObject metrics{{"reward", reward / n},
                     {"answer_tokens", length / n},
                     {"ended", ended / n},
                     {"clipped", sums.clipped / n}};
  if (how_.beta > 0) metrics["kl"] = sums.kl / n;
  return metrics;
}

Result<StepLoss> GrpoObjective::step(TorchModel& model) {
  if (inner_ == 0) TRY(sample(model));
  StepLoss result;
  PolicyFigures sums;
  for (Part& part : parts()) TRY(learn(model, part, result, sums));
  result.loss /= static_cast<double>(samples_.size());
  result.metrics = metrics(sums);
  inner_ = (inner_ + 1) % how_.inner_epochs;
  return result;
}

// Prompts that are not trained on: the mean reward of sampled answers, which is what is learned, and that of
// the most likely one.
Result<Evaluation> GrpoObjective::evaluate(TorchModel& model) {
  TRY(rollouts_.follow(model));
  const auto n = std::min(validation_.size(), static_cast<size_t>(how_.evaluate_prompts));
  const auto rewards = [&](size_t n_each, double temperature) -> Result<std::vector<double>> {
    std::vector<RolloutRequest> requests;
    for (size_t i = 0; i < n * n_each; ++i)
      requests.push_back({validation_[i / n_each].ids, hash64(fmt::format("evaluate {} {}", job_.seed, i))});
    const std::vector<Rollout> answers = TRY(rollouts_.answers(requests, how_.max_new_tokens, temperature));
    std::vector<double> means(n);
    for (size_t i = 0; i < answers.size(); ++i)
      means[i / n_each] += reward_.of(rollouts_.text(answers[i]), validation_[i / n_each].answer) /
                           static_cast<double>(n_each);
    return means;
  };
  const std::vector<double> sampled = TRY(rewards(kEvaluateSamples, 1)), greedy = TRY(rewards(1, 0));
  const double mean = std::accumulate(sampled.begin(), sampled.end(), 0.0) / static_cast<double>(n);
  return Evaluation{1 - mean,
                    0,
                    {{"reward", mean_with_interval(sampled)}, {"greedy_reward", mean_with_interval(greedy)}},
                    {{"reward", sampled, true}, {"greedy_reward", greedy, true}}};
}

// Between two steps on the same answers these cannot be sampled again: the weights have changed.
Json GrpoObjective::state() const {
  JsonObject state = order_->state().as_object();
  state["inner"] = inner_;
  if (inner_ == 0) return state;
  JsonArray samples;
  for (const Sample& s : samples_) samples.push_back(to_json(s));
  state["samples"] = std::move(samples);
  return state;
}

Status GrpoObjective::restore(const Json& state) {
  TRY(order_->restore(state));
  inner_ = TRY(json_int(state, "inner"));
  if (inner_ < 0 || inner_ >= how_.inner_epochs)
    return fail(ErrorCode::kParse, "'inner': expected that of this job");
  samples_.clear();
  if (inner_ == 0) return {};
  const Json* samples = json_find(state, "samples");
  if (samples == nullptr || !samples->is_array() || samples->as_array().empty())
    return fail(ErrorCode::kParse, "expected 'samples', those of the step");
  for (const Json& s : samples->as_array())
    samples_.push_back(TRY(sample_of(s, rollouts_.engine().config().vocab_size)));
  return {};
}

std::vector<std::vector<Objective::Piece>> GrpoObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i)
    examples.push_back(
        {{train_[i].text, false},
         {fmt::format("({} own answers; right: {})", how_.group_size, train_[i].answer), true}});
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_grpo_objective(const ObjectiveContext& context) {
  return GrpoObjective::make(context);
}

}  // namespace volant
