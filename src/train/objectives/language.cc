#include "train/objectives/language.h"

#include <algorithm>
#include <numbers>
#include <numeric>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "train/interval.h"
#include "train/model_folder.h"
#include "train/teacher_data.h"

namespace volant {
namespace {

// Batches in a row that may hold nothing to learn before the run gives up.
constexpr int kMaxEmptySteps = 1000;

class LanguageObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_->size(); }
  uint64_t n_targets() const override { return train_->n_targets(); }
  int64_t steps_of_an_epoch() override;
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_share_weights() const override { return true; }
  bool can_evaluate() const override { return validation_ != nullptr; }
  uint64_t n_validation_targets() const override { return validation_ ? validation_->n_targets() : 0; }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return to_json(batches_->cursor()); }
  Status restore(const Json& state) override {
    batches_->seek(TRY(cursor_from_json(state)));
    return {};
  }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, options().tokens);
  }

 private:
  explicit LanguageObjective(const ObjectiveContext& context)
      : job_(context.job), tokenizer_(*context.tokenizer), ranks_(context.ranks) {}
  Status load(const ModelConfig& config);
  BatchOptions options() const;
  std::vector<TrainBatch> next_batches();
  // Of a step's batches those that this process trains, and how many passes it and the busiest of all make.
  std::vector<TrainBatch> own_share(std::vector<TrainBatch> parts, TorchModel& model) const;
  // Adds a batch's loss and, with a teacher, the two losses that it is made of.
  Status learn(TorchModel& model, const TrainBatch& part, float scale, TorchModel::DistilLoss& sums);

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
  std::unique_ptr<Examples> train_, validation_;
  std::vector<int32_t> token_bytes_;
  std::unique_ptr<Batches> batches_;
  std::optional<TorchModel> teacher_;
};

Result<std::unique_ptr<Objective>> LanguageObjective::make(const ObjectiveContext& context) {
  if (context.tokenizer == nullptr || context.config.output != ModelOutput::kNextToken)
    return fail(ErrorCode::kInvalidArgument, "expected a language model with a tokenizer, got {}",
                context.config.architecture);
  std::unique_ptr<LanguageObjective> objective(new LanguageObjective(context));
  TRY(objective->load(context.config));
  return std::unique_ptr<Objective>(std::move(objective));
}

Status LanguageObjective::load(const ModelConfig& config) {
  for (int32_t id = 0; id < tokenizer_.n_vocab(); ++id)
    token_bytes_.push_back(
        tokenizer_.is_special(id) ? 0 : static_cast<int32_t>(tokenizer_.token_bytes(id).size()));
  if (!job_.train_shard.empty()) {
    train_ = TRY(shard_examples(job_.train_shard, config.vocab_size));
    if (!job_.validation_shard.empty())
      validation_ = TRY(shard_examples(job_.validation_shard, config.vocab_size));
  } else {
    const ChatTemplate chat_template = TRY(chat_template_of(job_));
    train_ = TRY(row_examples(job_.train_rows, tokenizer_, chat_template));
    if (!job_.validation_rows.empty())
      validation_ = TRY(row_examples(job_.validation_rows, tokenizer_, chat_template));
  }
  if (train_->n_targets() == 0)
    return fail(ErrorCode::kInvalidArgument,
                "expected something to learn (documents of two ids or more, answers of the assistant), got "
                "none")
        .at((job_.train_shard.empty() ? job_.train_rows : job_.train_shard).string());
  if (validation_ && validation_->n_targets() == 0) {
    log_warning("the validation set is empty: training without evaluation");
    validation_.reset();
  }
  batches_ = std::make_unique<Batches>(*train_, options());
  if (!job_.distil || job_.distil->from != "logits") return {};
  TRY(check_same_vocabulary(tokenizer_, *TRY(load_tokenizer(job_.distil->teacher))));
  teacher_ = TRY(open_torch_model(job_.distil->teacher, trains_in_bf16(job_)));
  if (teacher_->config().vocab_size != config.vocab_size ||
      teacher_->config().max_position_embeddings < job_.max_seq_len)
    return fail(ErrorCode::kInvalidArgument,
                "expected a teacher with vocab_size {} and {} positions or more, got {} and {}",
                config.vocab_size, job_.max_seq_len, teacher_->config().vocab_size,
                teacher_->config().max_position_embeddings)
        .at(job_.distil->teacher.string());
  return {};
}

// Micro batches of one size that together are a step.
BatchOptions LanguageObjective::options() const {
  const int64_t parts = (job_.tokens_per_step + job_.micro_batch_tokens - 1) / job_.micro_batch_tokens;
  int64_t rows = (job_.tokens_per_step + parts - 1) / parts;
  if (!train_->may_cut()) rows = std::max(rows, job_.max_seq_len);
  return {job_.max_seq_len, rows, true, job_.seed};
}

int64_t LanguageObjective::steps_of_an_epoch() {
  if (train_->may_cut()) return (static_cast<int64_t>(train_->n_targets()) - 1) / job_.tokens_per_step + 1;
  const Cursor here = batches_->cursor();
  batches_->seek({});
  int64_t steps = 0;
  do {
    next_batches();
    ++steps;
  } while (batches_->cursor().index < train_->size());
  batches_->seek(here);
  return steps;
}

std::vector<TrainBatch> LanguageObjective::next_batches() {
  std::vector<TrainBatch> parts;
  int64_t rows = 0;
  do {
    parts.push_back(batches_->next());
    rows += parts.back().n_real;
    if (!train_->may_cut() && batches_->cursor().index == train_->size())
      break;  // a step ends with the epoch
  } while (rows < job_.tokens_per_step);
  return parts;
}

Result<StepLoss> LanguageObjective::step(TorchModel& model) {
  StepLoss result;
  TorchModel::DistilLoss sums;
  std::vector<TrainBatch> parts;
  double weight = 0;
  const double begin = steady_seconds();
  for (int tries = 0; weight <= 0; ++tries) {
    if (tries == kMaxEmptySteps)
      return fail(ErrorCode::kInvalidArgument,
                  "nothing to learn within max_seq_len {}: the answers come later than that in every row",
                  job_.max_seq_len);
    parts = next_batches();
    for (const TrainBatch& part : parts) weight += part.weight();
  }
  parts = own_share(std::move(parts), model);
  result.waited = steady_seconds() - begin;
  for (const TrainBatch& part : parts) {
    TRY(learn(model, part, static_cast<float>(1.0 / weight), sums));
    result.tokens += part.n_real;
    result.flops += batch_flops(model.config(), part);
  }
  result.loss = sums.loss / weight;
  if (teacher_) result.metrics = {{"hard_loss", sums.hard / weight}, {"teacher_loss", sums.soft / weight}};
  return result;
}

std::vector<TrainBatch> LanguageObjective::own_share(std::vector<TrainBatch> parts, TorchModel& model) const {
  std::erase_if(parts, [](const TrainBatch& part) { return part.out_rows.empty(); });
  if (ranks_.size() == 1) return parts;
  std::vector<TrainBatch> mine;
  int64_t most = 0;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    std::vector<TrainBatch> share = share_of(parts, rank, ranks_.size());
    std::erase_if(share, [](const TrainBatch& part) { return part.out_rows.empty(); });
    most = std::max(most, std::ssize(share));
    if (rank == ranks_.rank()) mine = std::move(share);
  }
  model.expect_passes(std::ssize(mine), most);
  return mine;
}

Status LanguageObjective::learn(TorchModel& model, const TrainBatch& part, float scale,
                                TorchModel::DistilLoss& sums) {
  if (!teacher_) {
    sums.loss += TRY(model.loss_and_gradient(part.view(), part.targets, part.weights, scale));
    return {};
  }
  const TorchModel::Distil how{job_.distil->temperature, job_.distil->alpha, job_.distil->top_k};
  const TorchModel::DistilLoss loss =
      TRY(model.distil_loss_and_gradient(part.view(), *teacher_, part.targets, part.weights, how, scale));
  sums.loss += loss.loss;
  sums.hard += loss.hard;
  sums.soft += loss.soft;
  return {};
}

Result<Evaluation> LanguageObjective::evaluate(TorchModel& model) {
  Batches batches(*validation_,
                  {job_.max_seq_len, std::max(job_.micro_batch_tokens, job_.max_seq_len), false, 0});
  std::vector<double> losses, weights;  // of pieces of documents
  double bytes = 0;
  int turn = 0;  // of the ranks, which take batches in turn
  for (int64_t rows = 0; rows < job_.evaluate_tokens;) {
    const TrainBatch batch = batches.next();
    if (batch.n_real == 0) break;
    rows += batch.n_real;
    if (batch.out_rows.empty()) continue;
    const bool mine = turn++ % ranks_.size() == ranks_.rank();
    const std::vector<double> log_p =
        mine ? TRY(model.log_probs(batch.view(), batch.targets)) : std::vector<double>(batch.targets.size());
    size_t piece = 0;
    for (size_t i = 0; i < log_p.size(); ++i) {
      while (batch.out_rows[i] >= batch.seq_begin[piece + 1]) ++piece;
      if (i == 0 || batch.out_rows[i - 1] < batch.seq_begin[piece]) {
        losses.push_back(0);
        weights.push_back(0);
      }
      const auto weight = static_cast<double>(batch.weights[i]);
      losses.back() -= weight * log_p[i];
      weights.back() += weight;
      const auto id = static_cast<size_t>(batch.targets[i]);
      if (id < token_bytes_.size()) bytes += weight * token_bytes_[id];
    }
  }
  // The last round may have left some without a batch.
  const int over = turn % ranks_.size();
  if (model.weights_are_shared() && over > 0 && ranks_.rank() >= over) TRY(model.idle_pass(/*trains=*/false));
  TRY(ranks_.sum(losses));
  const double loss = std::accumulate(losses.begin(), losses.end(), 0.0),
               weight = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (weight <= 0)
    return fail(ErrorCode::kInvalidArgument, "nothing to evaluate within max_seq_len {}", job_.max_seq_len);
  const auto mean = [&](std::span<const uint32_t> pieces) {
    double sum = 0, of = 0;
    for (const uint32_t piece : pieces) {
      sum += losses[piece];
      of += weights[piece];
    }
    return of > 0 ? sum / of : 0;
  };
  Evaluation result{loss / weight,
                    bytes > 0 ? loss / std::numbers::ln2 / bytes : 0,
                    {{"loss", with_interval(losses.size(), mean)}}};
  for (size_t i = 0; i < losses.size(); ++i) losses[i] /= weights[i];
  result.by_row = {{"loss", std::move(losses)}};
  result.row_weights = std::move(weights);
  return result;
}

std::vector<std::vector<Objective::Piece>> LanguageObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (uint64_t i = 0; i < train_->size() && std::cmp_less(i, n_examples); ++i)
    examples.push_back(pieces_of(train_->get(i), tokenizer_));
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_language_objective(const ObjectiveContext& context) {
  return LanguageObjective::make(context);
}

std::vector<Objective::Piece> pieces_of(const Example& example, const Tokenizer& tokenizer) {
  const auto trained = [&](size_t at) {
    return at > 0 && (example.weights.empty() || example.weights[at] > 0);
  };
  std::vector<Objective::Piece> pieces;
  for (size_t begin = 0; begin < example.ids.size();) {
    size_t end = begin + 1;
    while (end < example.ids.size() && trained(end) == trained(begin)) ++end;
    pieces.push_back(
        {tokenizer.decode(std::span(example.ids).subspan(begin, end - begin), false), trained(begin)});
    begin = end;
  }
  return pieces;
}

double batch_flops(const ModelConfig& c, const TrainBatch& batch) {
  const double row = 3 * c.row_flops(false), head = 3 * c.row_flops(true) - row;
  double flops =
      row * static_cast<double>(batch.tokens.size()) + head * static_cast<double>(batch.out_rows.size());
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s) {
    const double n = batch.seq_begin[s + 1] - batch.seq_begin[s];
    flops +=
        6.0 * static_cast<double>(c.num_hidden_layers * c.num_attention_heads * c.head_dim) * n * (n + 1);
  }
  return flops;
}

// Of each row and layer about ten vectors as wide as the hidden state and three as wide as the inner one, two
// or four bytes a number.
uint64_t activation_bytes_of(const ModelConfig& config, int64_t rows) {
  const double row =
      static_cast<double>(config.num_hidden_layers) *
      (10.0 * static_cast<double>(config.hidden_size) + 3.0 * static_cast<double>(config.intermediate_size));
  return static_cast<uint64_t>(4.0 * row * static_cast<double>(rows));
}

Json to_json(const Cursor& cursor) {
  return JsonObject{{"epoch", cursor.epoch}, {"index", cursor.index}, {"offset", cursor.offset}};
}

Result<Cursor> cursor_from_json(const Json& json) {
  const auto count = [&](std::string_view key) -> Result<uint64_t> {
    const int64_t n = TRY(json_int(json, key));
    if (n < 0) return fail(ErrorCode::kParse, "'{}': expected a count, got {}", key, n);
    return static_cast<uint64_t>(n);
  };
  return Cursor{TRY(count("epoch")), TRY(count("index")), TRY(count("offset"))};
}

}  // namespace volant
