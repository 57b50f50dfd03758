// The parity of models that do not go on with a text: encoders, classifiers, encoder-decoders. One text at a
// time, without a cache.
#include <algorithm>
#include <numeric>

#include "compress/parity.h"
#include "models/check_batch.h"
#include "models/family.h"
#include "models/instances/native.h"

namespace volant {
namespace {

constexpr size_t kMaxIds = 128;  // of one text

std::vector<int32_t> count_up(size_t n) {
  std::vector<int32_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// What the model gives for a text, row after row.
std::vector<float> output_of(NativeModel& model, const std::vector<int32_t>& ids) {
  const ModelConfig& config = model.config();
  const auto n = static_cast<int32_t>(ids.size());
  const std::vector<int32_t> pos = count_up(ids.size());
  const std::vector<int32_t> ends{0, n}, first{0}, last{n - 1}, lengths{n};
  const RowsRead read = config.rows_read();
  Batch batch{.tokens = ids,
              .pos = pos,
              .seq_begin = ends,
              .kv_slot = {},
              .out_rows = read == RowsRead::kFirst  ? first
                          : read == RowsRead::kLast ? last
                                                    : pos};
  std::vector<int32_t> written = ids;
  if (config.has_source()) {
    written.insert(written.begin(), config.start_token_id());
    written.pop_back();
    batch.tokens = written;
    batch.source = {.tokens = ids, .pos = pos, .seq_begin = ends, .lengths = lengths, .rows = pos};
  }
  const auto output = model.output(batch);
  return {output.begin(), output.end()};
}

}  // namespace

Result<ParityReport> compare_outputs(const Checkpoint& original, const Checkpoint& exported,
                                     const ExportFormat& to, const std::vector<std::string>& texts) {
  if (!original.config().family->is_transformer)
    return fail(ErrorCode::kUnsupported, "{} reads no texts: it cannot be compared on any",
                original.config().architecture);
  const auto a = TRY(NativeModel::load(original, {})), b = TRY(NativeModel::load(exported, {}));
  const auto tokenizer = TRY(original.tokenizer()), tokenizer_b = TRY(exported.tokenizer());
  const ModelConfig& config = original.config();
  const bool hidden = config.output == ModelOutput::kHidden;
  const auto width = static_cast<size_t>(hidden                                  ? config.hidden_size
                                         : config.output == ModelOutput::kLabels ? std::ssize(config.labels)
                                                                                 : config.vocab_size);
  const size_t most = std::min(kMaxIds, static_cast<size_t>(config.max_position_embeddings));
  ParitySums sums;
  for (size_t t = 0; t < std::min(texts.size(), kMaxTexts); ++t) {
    std::vector<int32_t> ids = tokenizer->encode(texts[t]);
    if (ids != tokenizer_b->encode(texts[t]))
      return fail(ErrorCode::kRefused, "the exported vocabulary gives other ids for parity text {}", t + 1);
    ids.resize(std::min(ids.size(), most));
    if (ids.empty()) continue;
    TRY(check_ids(ids, config.vocab_size, "token id"));
    const std::vector<float> x = output_of(*a, ids), y = output_of(*b, ids);
    if (x.size() != y.size() || x.size() % width != 0)
      return fail(ErrorCode::kRefused, "the exported model gives {} numbers for a text, the original {}",
                  y.size(), x.size());
    if (!all_finite(x) || !all_finite(y))
      return fail(ErrorCode::kRefused, "the {} model gives numbers that are none",
                  all_finite(x) ? "exported" : "original");
    for (size_t at = 0; at < x.size(); at += width) {
      const auto p = std::span(x).subspan(at, width), q = std::span(y).subspan(at, width);
      hidden ? sums.add_hidden(p, q) : sums.add(p, q);
    }
  }
  if (sums.positions == 0)
    return fail(ErrorCode::kInvalidArgument, "expected parity texts with at least one token");
  return parity_report(sums, to);
}

}  // namespace volant
