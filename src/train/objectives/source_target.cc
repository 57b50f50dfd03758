#include "train/objectives/source_target.h"

#include <algorithm>
#include <numeric>

#include "io/jsonl.h"
#include "train/objectives/language.h"
#include "train/objectives/shares.h"
#include "train/row_order.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRows = 1 << 22;

struct Pair {
  std::vector<int32_t> source, target;
};

// Pairs flat as a batch: the decoder reads the start mark and all of the target but its last word.
struct PairBatch {
  std::vector<int32_t> tokens, pos, seq_begin{0}, targets, rows;
  std::vector<int32_t> source, source_pos, source_begin{0}, source_lengths, source_rows;

  void add(const Pair& pair, int32_t start) {
    for (size_t i = 0; i < pair.target.size(); ++i) {
      rows.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(i == 0 ? start : pair.target[i - 1]);
      pos.push_back(static_cast<int32_t>(i));
      targets.push_back(pair.target[i]);
    }
    for (size_t i = 0; i < pair.source.size(); ++i) {
      source_rows.push_back(static_cast<int32_t>(source.size()));
      source.push_back(pair.source[i]);
      source_pos.push_back(static_cast<int32_t>(i));
    }
    seq_begin.push_back(static_cast<int32_t>(tokens.size()));
    source_begin.push_back(static_cast<int32_t>(source.size()));
    source_lengths.push_back(static_cast<int32_t>(pair.source.size()));
  }
  Batch view() const {
    return {.tokens = tokens,
            .pos = pos,
            .seq_begin = seq_begin,
            .kv_slot = {},
            .out_rows = rows,
            .source = {.tokens = source,
                       .pos = source_pos,
                       .seq_begin = source_begin,
                       .lengths = source_lengths,
                       .rows = source_rows}};
  }
  int64_t n_rows() const { return std::ssize(tokens) + std::ssize(source); }
};

// The words of a text and the mark that ends it.
std::vector<int32_t> ids_of(std::string_view text, const Tokenizer& tokenizer, int64_t most) {
  std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (std::cmp_greater_equal(ids.size(), most)) ids.resize(static_cast<size_t>(most - 1));
  if (tokenizer.eos_id()) ids.push_back(*tokenizer.eos_id());
  return ids;
}

// What a row says: {"prompt", "completion"} or a conversation.
Result<std::pair<std::string, std::string>> texts_of(const Json& row) {
  const Json* messages = json_find(row, "messages");
  if (messages == nullptr)
    return std::pair{TRY(json_string(row, "prompt")), TRY(json_string(row, "completion"))};
  if (!messages->is_array() || messages->as_array().size() < 2)
    return fail(ErrorCode::kParse, "'messages': expected a list of at least two");
  std::string source;
  const JsonArray& list = messages->as_array();
  for (size_t i = 0; i + 1 < list.size(); ++i)
    source += (source.empty() ? "" : "\n") + TRY(json_string(list[i], "content"));
  if (TRY(json_string(list.back(), "role")) != "assistant")
    return fail(ErrorCode::kParse, "expected the last message to be the assistant's");
  return std::pair{source, TRY(json_string(list.back(), "content"))};
}

Result<std::vector<Pair>> read_pairs(const Path& path, const Tokenizer& tokenizer, int64_t most) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  std::vector<Pair> pairs;
  while (true) {
    const std::optional<Json> row = TRY(reader.next());
    if (!row) return pairs;
    const auto place = [&] { return fmt::format("{}:{}", path.string(), reader.line()); };
    auto texts = texts_of(*row);
    if (!texts) return std::move(texts).error().at(place());
    if (pairs.size() == kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(place());
    Pair pair{ids_of(texts->first, tokenizer, most), ids_of(texts->second, tokenizer, most)};
    if (!pair.source.empty() && !pair.target.empty()) pairs.push_back(std::move(pair));
  }
}

uint64_t targets_of(const std::vector<Pair>& pairs) {
  uint64_t n = 0;
  for (const Pair& pair : pairs) n += pair.target.size();
  return n;
}

class SourceTargetObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context) {
    const TrainJob& job = context.job;
    if (context.tokenizer == nullptr || job.train_rows.empty())
      return fail(
          ErrorCode::kInvalidArgument,
          "{} writes a target from a source: expected rows with 'prompt' and 'completion', or 'messages'",
          context.config.architecture);
    if (job.distil && job.distil->from == "logits")
      return fail(ErrorCode::kUnsupported,
                  "'distil' from a teacher's probabilities is not done for {}, which writes from a source: "
                  "leave it out",
                  context.config.architecture);
    std::vector<Pair> train = TRY(read_pairs(job.train_rows, *context.tokenizer, job.max_seq_len)),
                      validation;
    if (!job.validation_rows.empty())
      validation = TRY(read_pairs(job.validation_rows, *context.tokenizer, job.max_seq_len));
    if (train.empty())
      return fail(ErrorCode::kInvalidArgument, "expected at least one pair, got none")
          .at(job.train_rows.string());
    return std::unique_ptr<Objective>(
        new SourceTargetObjective(context, std::move(train), std::move(validation)));
  }

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return targets_of(train_); }
  uint64_t n_validation_targets() const override { return targets_of(validation_); }
  int64_t steps_of_an_epoch() override { return order_.steps_of_an_epoch(job_.tokens_per_step, size_of_); }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_evaluate() const override { return !validation_.empty(); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return order_.state(); }
  Status restore(const Json& state) override { return order_.restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return 2 * activation_bytes_of(config, job_.tokens_per_step);
  }

 private:
  SourceTargetObjective(const ObjectiveContext& context, std::vector<Pair> train,
                        std::vector<Pair> validation)
      : job_(context.job),
        tokenizer_(*context.tokenizer),
        ranks_(context.ranks),
        start_(context.config.start_token_id()),
        train_(std::move(train)),
        validation_(std::move(validation)),
        order_(train_.size(), job_.seed) {}

  // Of micro_batch_tokens or a little more.
  std::vector<PairBatch> batches(const std::vector<const Pair*>& pairs) const {
    std::vector<PairBatch> all;
    for (const Pair* pair : pairs) {
      if (all.empty() || all.back().n_rows() >= job_.micro_batch_tokens) all.emplace_back();
      all.back().add(*pair, start_);
    }
    return all;
  }

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
  int32_t start_;
  std::vector<Pair> train_, validation_;
  const RowOrder::RowSize size_of_ = [this](uint32_t row) {
    return std::ssize(train_[row].source) + std::ssize(train_[row].target);
  };
  RowOrder order_;
};

Result<StepLoss> SourceTargetObjective::step(TorchModel& model) {
  const std::vector<uint32_t> pairs = order_.take(job_.tokens_per_step, size_of_);
  StepLoss result;
  double n_target = 0;
  for (const uint32_t i : pairs) n_target += static_cast<double>(train_[i].target.size());
  const auto make = [&](const std::vector<uint32_t>& share) {
    std::vector<const Pair*> some;
    for (const uint32_t i : share) some.push_back(&train_[i]);
    return batches(some);
  };
  for (const PairBatch& batch : own_passes(pairs, size_of_, ranks_, model, make)) {
    const std::vector<float> weights(batch.targets.size(), 1.0F);
    result.loss += TRY(
        model.loss_and_gradient(batch.view(), batch.targets, weights, static_cast<float>(1.0 / n_target)));
    result.tokens += batch.n_rows();
    result.flops += 3 * model.config().row_flops(true) * static_cast<double>(batch.n_rows());
  }
  result.loss /= n_target;
  return result;
}

Result<Evaluation> SourceTargetObjective::evaluate(TorchModel& model) {
  std::vector<const Pair*> some;
  int64_t rows = 0;
  for (size_t i = 0; i < validation_.size() && rows < job_.evaluate_tokens + job_.micro_batch_tokens; ++i) {
    some.push_back(&validation_[i]);
    rows += std::ssize(some.back()->source) + std::ssize(some.back()->target);
  }
  const std::vector<PairBatch> parts = batches(some);
  rows = 0;
  size_t n = 0;
  while (n < parts.size() && rows < job_.evaluate_tokens) rows += parts[n++].n_rows();
  const auto losses = TRY(in_turn(
      ranks_, model, n, [](size_t) { return size_t{1}; },
      [&](size_t i) -> Result<std::vector<double>> {
        const std::vector<float> weights(parts[i].targets.size(), 1.0F);
        return std::vector{TRY(model.loss(parts[i].view(), parts[i].targets, weights))};
      }));
  double loss = 0, n_target = 0;
  for (size_t i = 0; i < n; ++i) {
    loss += losses[i][0];
    n_target += static_cast<double>(parts[i].targets.size());
  }
  return Evaluation{loss / n_target, 0, {}};
}

std::vector<std::vector<Objective::Piece>> SourceTargetObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i)
    examples.push_back({{tokenizer_.decode(train_[i].source, false) + "\n", false},
                        {tokenizer_.decode(train_[i].target, false), true}});
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_source_target_objective(const ObjectiveContext& context) {
  return SourceTargetObjective::make(context);
}

}  // namespace volant
