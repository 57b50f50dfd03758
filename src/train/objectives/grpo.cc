#include "train/objectives/grpo.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/digest.h"
#include "train/interval.h"
#include "train/model_folder.h"
#include "train/objectives/grpo_sample.h"
#include "train/objectives/language.h"
#include "train/objectives/policy_loss.h"
#include "train/objectives/reward.h"
#include "train/objectives/shares.h"
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

// GrpoSamples packed into one batch, by number.
struct Part {
  TrainBatch batch;
  std::vector<uint32_t> samples;
};

// The numbers 0 .. n - 1.
std::vector<uint32_t> numbers_to(size_t n) {
  std::vector<uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

class GrpoObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override {
    return train_.size() * static_cast<uint64_t>(how_.group_size * how_.max_new_tokens);
  }
  bool can_share() const override { return true; }
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
  GrpoObjective(const ObjectiveContext& context, Reward reward, Rollouts rollouts)
      : job_(context.job),
        how_(context.job.grpo),
        ranks_(context.ranks),
        reward_(std::move(reward)),
        rollouts_(std::move(rollouts)) {}
  Result<std::vector<Prompt>> read_prompts(const Path& file) const;
  Result<Prompt> read_prompt(const PromptRow& row) const;
  // New answers to the next prompts, with their rewards and advantages: those of all processes, each of which
  // has sampled its share.
  Status sample(TorchModel& model);
  Status exchange_answers(const std::vector<uint32_t>& own);
  // What the model of the start says: with adapters, the frozen base.
  Status ask_reference(const TorchModel& model);
  // Of `n` requests those that this process answers.
  std::vector<uint32_t> own_of(size_t n) const {
    return share_of(
        numbers_to(n), [](uint32_t) { return 1; }, ranks_.rank(), ranks_.size());
  }
  // Of samples_ those that this process learns from.
  std::vector<uint32_t> own_samples() const {
    return share_of(numbers_to(samples_.size()), size_, ranks_.rank(), ranks_.size());
  }
  // Numbers of the answers' ids that each process has of its own samples are known to all.
  Status exchange(std::vector<double> GrpoSample::*numbers);
  std::vector<Part> parts_of(const std::vector<uint32_t>& samples) const;
  Status learn(TorchModel& model, Part& part, StepLoss& result, PolicyFigures& sums);
  // Of this process's samples, as their share of those of all.
  JsonObject metrics(const PolicyFigures& sums) const;

  const TrainJob& job_;
  const GrpoJob& how_;
  const Ranks& ranks_;
  Reward reward_;
  Rollouts rollouts_;
  std::vector<Prompt> train_, validation_;
  std::optional<RowOrder> order_;
  std::optional<TorchModel> reference_;  // where the whole model is trained
  std::vector<GrpoSample> samples_;
  const RowOrder::RowSize size_ = [this](uint32_t i) { return std::ssize(samples_[i].ids) - 1; };
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
  const int n_threads = threads_of_rank(job.n_threads, context.ranks.local_size());
  Rollouts rollouts = TRY(Rollouts::open(job.init_from, n_threads, job.max_seq_len));
  std::unique_ptr<GrpoObjective> objective(
      new GrpoObjective(context, TRY(Reward::make(job.grpo.reward, job.grpo.pattern)), std::move(rollouts)));
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
  std::vector<const Prompt*> prompts;  // of each sample
  std::vector<uint64_t> seeds;
  for (int64_t p = 0; p < how_.prompts_per_step; ++p) {
    const uint64_t turn = order_->taken();
    const Prompt* prompt = &train_[order_->next()];
    for (size_t i = 0; i < n_group; ++i) {
      prompts.push_back(prompt);
      seeds.push_back(hash64(fmt::format("{} {} {}", job_.seed, turn, i)));
    }
  }
  samples_.assign(prompts.size(), {});
  for (size_t i = 0; i < samples_.size(); ++i) {
    samples_[i].ids = prompts[i]->ids;
    samples_[i].n_prompt = std::ssize(prompts[i]->ids);
  }
  const std::vector<uint32_t> own = own_of(samples_.size());
  std::vector<RolloutRequest> requests;
  for (const uint32_t i : own) requests.push_back({prompts[i]->ids, seeds[i]});
  const std::vector<Rollout> answers = TRY(rollouts_.answers(requests, how_.max_new_tokens, 1));
  for (size_t k = 0; k < own.size(); ++k) {
    GrpoSample& s = samples_[own[k]];
    s.ids.insert(s.ids.end(), answers[k].ids.begin(), answers[k].ids.end());
    s.ended = answers[k].ended;
    s.reward = reward_.of(rollouts_.text(answers[k]), prompts[own[k]]->answer);
  }
  TRY(exchange_answers(own));
  for (size_t first = 0; first < samples_.size(); first += n_group) {
    std::vector<double> rewards;
    for (size_t i = first; i < first + n_group; ++i) rewards.push_back(samples_[i].reward);
    const std::vector<double> advantages = group_advantages(rewards);
    for (size_t i = 0; i < n_group; ++i) samples_[first + i].advantage = advantages[i];
  }
  return how_.beta > 0 ? ask_reference(model) : Status();
}

// As sums over the processes of what one of them has and the others have as zeros.
Status GrpoObjective::exchange_answers(const std::vector<uint32_t>& own) {
  if (ranks_.size() == 1) return {};
  std::vector<double> figures(3 * samples_.size());  // of each: length, whether it ended, reward
  for (const uint32_t i : own) {
    const GrpoSample& s = samples_[i];
    std::ranges::copy(std::array{static_cast<double>(s.n_answer()), s.ended ? 1.0 : 0, s.reward},
                      figures.begin() + 3 * static_cast<std::ptrdiff_t>(i));
  }
  TRY(ranks_.sum(figures));
  std::vector<std::vector<double>> ids(samples_.size());
  for (size_t i = 0; i < samples_.size(); ++i) ids[i].resize(static_cast<size_t>(figures[3 * i]));
  for (const uint32_t i : own)
    std::copy(samples_[i].ids.begin() + samples_[i].n_prompt, samples_[i].ids.end(), ids[i].begin());
  std::vector<std::vector<double>*> lists;
  for (auto& list : ids) lists.push_back(&list);
  TRY(sum_lists(ranks_, lists));
  for (size_t i = 0; i < samples_.size(); ++i) {
    GrpoSample& s = samples_[i];
    s.ids.resize(static_cast<size_t>(s.n_prompt));
    for (const double id : ids[i]) s.ids.push_back(static_cast<int32_t>(id));
    s.ended = figures[3 * i + 1] > 0;
    s.reward = figures[3 * i + 2];
  }
  return {};
}

Status GrpoObjective::exchange(std::vector<double> GrpoSample::*numbers) {
  if (ranks_.size() == 1) return {};
  std::vector<std::vector<double>*> lists;
  for (GrpoSample& s : samples_) {
    (s.*numbers).resize(s.n_answer());
    lists.push_back(&(s.*numbers));
  }
  return sum_lists(ranks_, lists);
}

Status GrpoObjective::ask_reference(const TorchModel& model) {
  for (const Part& part : parts_of(own_samples())) {
    const Batch batch = part.batch.view();
    const std::vector<double> log_p = TRY(reference_ ? reference_->log_probs(batch, part.batch.targets)
                                                     : model.base_log_probs(batch, part.batch.targets));
    auto at = log_p.begin();
    for (const uint32_t i : part.samples) {
      const auto end = at + static_cast<std::ptrdiff_t>(samples_[i].n_answer());
      samples_[i].reference.assign(at, end);
      at = end;
    }
  }
  return how_.inner_epochs > 1 ? exchange(&GrpoSample::reference) : Status();
}

std::vector<Part> GrpoObjective::parts_of(const std::vector<uint32_t>& samples) const {
  std::vector<Part> parts;
  for (const uint32_t i : samples) {
    if (parts.empty() || parts.back().batch.n_real + size_(i) > job_.micro_batch_tokens) parts.emplace_back();
    parts.back().batch.add(samples_[i].ids, static_cast<size_t>(samples_[i].n_prompt));
    parts.back().samples.push_back(i);
  }
  for (Part& part : parts) part.batch.pad();
  return parts;
}

Status GrpoObjective::learn(TorchModel& model, Part& part, StepLoss& result, PolicyFigures& sums) {
  const auto loss = [&](std::span<const double> log_p, std::span<double> gradient) {
    double sum = 0;
    size_t at = 0;
    for (const uint32_t i : part.samples) {
      GrpoSample& s = samples_[i];
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
  for (const uint32_t i : own_samples()) {
    const GrpoSample& s = samples_[i];
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
  const auto make = [this](const std::vector<uint32_t>& share) { return parts_of(share); };
  for (Part& part : own_passes(numbers_to(samples_.size()), size_, ranks_, model, make))
    TRY(learn(model, part, result, sums));
  // Every process may be asked for a checkpoint of what the next steps on these answers need.
  if (inner_ == 0 && how_.inner_epochs > 1) TRY(exchange(&GrpoSample::old));
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
    const std::vector<uint32_t> own = own_of(n * n_each);
    for (const uint32_t i : own)
      requests.push_back({validation_[i / n_each].ids, hash64(fmt::format("evaluate {} {}", job_.seed, i))});
    const std::vector<Rollout> answers = TRY(rollouts_.answers(requests, how_.max_new_tokens, temperature));
    std::vector<double> means(n);
    for (size_t k = 0; k < own.size(); ++k) {
      const size_t prompt = own[k] / n_each;
      means[prompt] +=
          reward_.of(rollouts_.text(answers[k]), validation_[prompt].answer) / static_cast<double>(n_each);
    }
    TRY(ranks_.sum(means));
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
  for (const GrpoSample& s : samples_) samples.push_back(to_json(s));
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
    samples_.push_back(TRY(grpo_sample(s, rollouts_.engine().config().vocab_size)));
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
