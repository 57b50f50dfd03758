#include "train/objectives/embed.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "io/jsonl.h"
#include "train/interval.h"
#include "train/objectives/contrastive_loss.h"
#include "train/objectives/language.h"
#include "train/objectives/shares.h"
#include "train/objectives/text_batch.h"
#include "train/row_order.h"

namespace volant {
namespace {

constexpr size_t kMaxRows = 1 << 22, kMaxNegatives = 64;

struct PairRow {
  EncodedText anchor, positive;
  std::vector<EncodedText> negatives;
};

class EmbedObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return train_.size(); }
  int64_t steps_of_an_epoch() override {
    return std::max<int64_t>(1, std::ssize(train_) / job_.embed.batch_size);
  }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_evaluate() const override { return validation_.size() > 1; }
  uint64_t n_validation_targets() const override { return validation_.size(); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return order_->state(); }
  Status restore(const Json& state) override { return order_->restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, job_.micro_batch_tokens);
  }

 private:
  // Anchors first, then the positives in the same order, then all negatives.
  using Texts = std::vector<const EncodedText*>;

  EmbedObjective(const ObjectiveContext& context, Pooling pooling)
      : job_(context.job),
        tokenizer_(*context.tokenizer),
        ranks_(context.ranks),
        n_dims_(static_cast<size_t>(context.config.hidden_size)),
        pooling_(pooling) {}
  Result<std::vector<PairRow>> read(const Path& file) const;
  Result<PairRow> row_of(const Json& json) const;
  static Texts texts_of(const std::vector<const PairRow*>& rows);
  std::vector<TextBatch> batches(const Texts& texts) const;
  std::vector<int32_t> rows_read(const EncodedText& text) const;
  // The vectors [texts, D] of a batch from the hidden states of its rows, and the derivative the other way.
  void pool(const Texts& texts, const TextBatch& batch, std::span<const float> hidden,
            std::span<double> vectors) const;
  void spread(const Texts& texts, const TextBatch& batch, std::span<const double> vectors,
              std::span<float> hidden) const;
  // All vectors; processes compute them part by part in turn.
  Result<std::vector<double>> vectors_of(TorchModel& model, const Texts& texts,
                                         const std::vector<TextBatch>& parts) const;
  // The loss of a step from all its vectors, and the derivative by them.
  double loss_of(size_t n_pairs, std::span<const double> vectors, std::span<double> gradient) const;

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
  size_t n_dims_;
  Pooling pooling_;
  std::vector<PairRow> train_, validation_;
  std::optional<RowOrder> order_;
};

Result<std::unique_ptr<Objective>> EmbedObjective::make(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  if (context.tokenizer == nullptr || context.config.output != ModelOutput::kHidden)
    return fail(ErrorCode::kInvalidArgument,
                "expected an encoder that gives hidden states (BertModel) and a tokenizer, got {}",
                context.config.architecture);
  if (job.max_seq_len > context.config.max_position_embeddings)
    return fail(ErrorCode::kInvalidArgument, "'max_seq_len': the model has {} positions, got {}",
                context.config.max_position_embeddings, job.max_seq_len);
  if (job.trained.adapter && job.trained.adapter->dropout > 0)
    return fail(
        ErrorCode::kUnsupported,
        "'dropout' of the adapter with embed: pairs that do not fit into one pass are read twice, which "
        "must give the same numbers; leave it out");
  const Pooling pooling = TRY(pooling_of(job, context.config));
  std::unique_ptr<EmbedObjective> objective(new EmbedObjective(context, pooling));
  objective->train_ = TRY(objective->read(job.train_rows));
  if (objective->train_.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "expected two pairs or more, got {}", objective->train_.size())
        .at(job.train_rows.string());
  if (!job.validation_rows.empty()) objective->validation_ = TRY(objective->read(job.validation_rows));
  objective->order_.emplace(objective->train_.size(), job.seed);
  return std::unique_ptr<Objective>(std::move(objective));
}

Result<PairRow> EmbedObjective::row_of(const Json& json) const {
  const bool named = json_find(json, "anchor") != nullptr;
  const auto encoded = [&](const std::string& text) {
    return encode_text(tokenizer_, text, std::nullopt, job_.max_seq_len);
  };
  PairRow row;
  row.anchor = TRY(encoded(TRY(json_string(json, named ? "anchor" : "text"))));
  row.positive = TRY(encoded(TRY(json_string(json, named ? "positive" : "text_pair"))));
  const Json* negative = json_find(json, "negative");
  if (negative == nullptr) return row;
  const JsonArray all = negative->is_array() ? negative->as_array() : JsonArray{*negative};
  if (all.size() > kMaxNegatives)
    return fail(ErrorCode::kLimit, "'negative': expected at most {} texts", kMaxNegatives);
  for (const Json& text : all) {
    if (!text.is_string()) return fail(ErrorCode::kParse, "'negative': expected a text or several");
    row.negatives.push_back(TRY(encoded(std::string(text.as_string()))));
  }
  return row;
}

Result<std::vector<PairRow>> EmbedObjective::read(const Path& file) const {
  JsonlReader reader = TRY(JsonlReader::open(file));
  std::vector<PairRow> rows;
  while (true) {
    const std::optional<Json> json = TRY(reader.next());
    if (!json) return rows;
    const auto place = [&] { return fmt::format("{}:{}", file.string(), reader.line()); };
    auto row = row_of(*json);
    if (!row) return std::move(row).error().at(place());
    if (rows.size() == kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(place());
    rows.push_back(std::move(*row));
  }
}

EmbedObjective::Texts EmbedObjective::texts_of(const std::vector<const PairRow*>& rows) {
  Texts texts;
  for (const PairRow* row : rows) texts.push_back(&row->anchor);
  for (const PairRow* row : rows) texts.push_back(&row->positive);
  for (const PairRow* row : rows)
    for (const EncodedText& negative : row->negatives) texts.push_back(&negative);
  return texts;
}

std::vector<int32_t> EmbedObjective::rows_read(const EncodedText& text) const {
  if (pooling_ == Pooling::kFirst) return {0};
  if (pooling_ == Pooling::kLast) return {static_cast<int32_t>(text.ids.size()) - 1};
  std::vector<int32_t> rows(text.ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

std::vector<TextBatch> EmbedObjective::batches(const Texts& texts) const {
  std::vector<TextBatch> batches;
  int64_t all = 0;
  for (const EncodedText* text : texts) all += std::ssize(text->ids);
  const int64_t most = std::min(job_.micro_batch_tokens, all / ranks_.size() + 1);  // work for everybody
  for (size_t i = 0; i < texts.size(); ++i) {
    if (batches.empty() || batches.back().n_rows() + std::ssize(texts[i]->ids) > most) {
      batches.emplace_back();
      batches.back().begin = i;
    }
    batches.back().add(*texts[i], rows_read(*texts[i]));
    batches.back().end = i + 1;
  }
  for (TextBatch& batch : batches) batch.pad();
  return batches;
}

void EmbedObjective::pool(const Texts& texts, const TextBatch& batch, std::span<const float> hidden,
                          std::span<double> vectors) const {
  const float* from = hidden.data();
  for (size_t i = batch.begin; i < batch.end; ++i) {
    const size_t n = rows_read(*texts[i]).size();
    for (size_t r = 0; r < n; ++r, from += n_dims_)
      for (size_t d = 0; d < n_dims_; ++d)
        vectors[i * n_dims_ + d] += static_cast<double>(from[d]) / static_cast<double>(n);
  }
}

void EmbedObjective::spread(const Texts& texts, const TextBatch& batch, std::span<const double> vectors,
                            std::span<float> hidden) const {
  float* to = hidden.data();
  for (size_t i = batch.begin; i < batch.end; ++i) {
    const size_t n = rows_read(*texts[i]).size();
    for (size_t r = 0; r < n; ++r, to += n_dims_)
      for (size_t d = 0; d < n_dims_; ++d)
        to[d] = static_cast<float>(vectors[i * n_dims_ + d] / static_cast<double>(n));
  }
}

Result<std::vector<double>> EmbedObjective::vectors_of(TorchModel& model, const Texts& texts,
                                                       const std::vector<TextBatch>& parts) const {
  const auto all = TRY(in_turn(
      ranks_, model, parts.size(), [&](size_t i) { return (parts[i].end - parts[i].begin) * n_dims_; },
      [&](size_t i) -> Result<std::vector<double>> {
        std::vector<double> vectors(texts.size() * n_dims_);
        pool(texts, parts[i], TRY(model.output(parts[i].view())), vectors);
        const auto at = [&](size_t text) {
          return vectors.begin() + static_cast<std::ptrdiff_t>(text * n_dims_);
        };
        return std::vector<double>(at(parts[i].begin), at(parts[i].end));
      }));
  std::vector<double> vectors;
  for (const std::vector<double>& part : all) vectors.insert(vectors.end(), part.begin(), part.end());
  return vectors;
}

double EmbedObjective::loss_of(size_t n_pairs, std::span<const double> vectors,
                               std::span<double> gradient) const {
  const size_t n = n_pairs * n_dims_;
  return contrastive_loss(n_dims_, job_.embed.temperature, vectors.first(n), vectors.subspan(n),
                          gradient.first(n), gradient.subspan(n));
}

// The loss needs all vectors of the step at once. What does not fit into one pass of one process is passed
// twice: first for the vectors, then for the gradient (Gao et al. 2021, "Scaling deep contrastive learning
// batch size").
Result<StepLoss> EmbedObjective::step(TorchModel& model) {
  std::vector<const PairRow*> rows;
  const auto n_pairs = std::min(static_cast<size_t>(job_.embed.batch_size), train_.size());
  while (rows.size() < n_pairs) rows.push_back(&train_[order_->next()]);
  const Texts texts = texts_of(rows);
  const std::vector<TextBatch> parts = batches(texts);
  StepLoss result;
  std::vector<double> gradient(texts.size() * n_dims_);
  const bool twice = parts.size() > 1 || ranks_.size() > 1;
  if (twice) {
    const double loss = loss_of(n_pairs, TRY(vectors_of(model, texts, parts)), gradient);
    if (ranks_.first()) result.loss = loss;  // all have the same
  }
  const auto size = static_cast<size_t>(ranks_.size()), rank = static_cast<size_t>(ranks_.rank());
  if (size > 1)
    model.expect_passes(static_cast<int64_t>((parts.size() + size - 1 - rank) / size),
                        static_cast<int64_t>((parts.size() + size - 1) / size));
  for (size_t p = rank; p < parts.size(); p += size) {
    const TextBatch& part = parts[p];
    const auto learn = [&](std::span<const float> hidden, std::span<float> by_hidden) {
      if (!twice) {
        std::vector<double> vectors(gradient.size());
        pool(texts, part, hidden, vectors);
        result.loss = loss_of(n_pairs, vectors, gradient);
      }
      spread(texts, part, gradient, by_hidden);
      return 0.0;
    };
    TRY(model.output_loss_and_gradient(part.view(), learn, 1));
    for (size_t i = part.begin; i < part.end; ++i) result.tokens += std::ssize(texts[i]->ids);
    const double passes = twice ? 4 : 3;
    result.flops += passes * model.config().row_flops(false) * static_cast<double>(part.n_rows());
  }
  return result;
}

// All held-out positives and negatives are candidates of each held-out anchor.
Result<Evaluation> EmbedObjective::evaluate(TorchModel& model) {
  std::vector<const PairRow*> rows;
  int64_t tokens = 0;
  for (const PairRow& row : validation_) {
    if (tokens >= job_.evaluate_tokens && rows.size() > 1) break;
    tokens += std::ssize(row.anchor.ids) + std::ssize(row.positive.ids);
    rows.push_back(&row);
  }
  const Texts texts = texts_of(rows);
  const std::vector<double> vectors = TRY(vectors_of(model, texts, batches(texts)));
  std::vector<double> ignored(vectors.size()), first, reciprocal;
  const double loss = loss_of(rows.size(), vectors, ignored);
  const std::span<const double> all = vectors;
  const size_t n = rows.size() * n_dims_;
  for (const int64_t rank : positive_ranks(n_dims_, all.first(n), all.subspan(n))) {
    first.push_back(rank == 1 ? 1 : 0);
    reciprocal.push_back(1.0 / static_cast<double>(rank));
  }
  return Evaluation{
      loss, 0, {{"recall_at_1", mean_with_interval(first)}, {"mrr", mean_with_interval(reciprocal)}}};
}

std::vector<std::vector<Objective::Piece>> EmbedObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i)
    examples.push_back({{tokenizer_.decode(train_[i].anchor.ids, false), true},
                        {" ~ " + tokenizer_.decode(train_[i].positive.ids, false), true}});
  return examples;
}

}  // namespace

Result<Pooling> pooling_of(const TrainJob& job, const ModelConfig& config) {
  Pooling pooling = Pooling::kMean;
  if (!job.init_from.empty())
    pooling = TRY(read_sentence_settings(job.init_from, config.hidden_size)).pooling;
  if (job.embed.pooling == "mean") return Pooling::kMean;
  if (job.embed.pooling == "cls") return Pooling::kFirst;
  if (job.embed.pooling == "last") return Pooling::kLast;
  return pooling;
}

Result<std::unique_ptr<Objective>> make_embed_objective(const ObjectiveContext& context) {
  return EmbedObjective::make(context);
}

}  // namespace volant
