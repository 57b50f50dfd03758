#include "compress/calibrate.h"

#include <algorithm>
#include <numeric>

#include "models/instances/native.h"

namespace volant {
namespace {

constexpr size_t kMaxTokens = 32768, kMinTokens = 256;
constexpr size_t kMaxWindow = 256;  // tokens that are read together

struct Sums {
  std::vector<double> squares;
  int64_t rows = 0;

  void add(std::span<const float> numbers, int64_t columns) {
    squares.resize(static_cast<size_t>(columns));
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto x = static_cast<double>(numbers[i]);
      squares[i % squares.size()] += x * x;
    }
    rows += static_cast<int64_t>(numbers.size() / squares.size());
  }
};

void read_window(NativeModel& model, std::span<const int32_t> ids) {
  std::vector<int32_t> pos(ids.size());
  std::iota(pos.begin(), pos.end(), 0);
  const int32_t seq_begin[] = {0, static_cast<int32_t>(ids.size())};
  model.output({.tokens = ids, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = pos});
}

}  // namespace

Result<Importance> collect_importance(const Checkpoint& checkpoint, const std::vector<std::string>& texts) {
  if (checkpoint.config().has_source())
    return fail(ErrorCode::kUnsupported, "calibration texts for a {} are not supported: export it without",
                checkpoint.config().architecture);
  const std::unique_ptr<Tokenizer> tokenizer = TRY(checkpoint.tokenizer());
  const std::unique_ptr<NativeModel> model = TRY(NativeModel::load(checkpoint, {}));
  std::map<std::string, Sums> sums;
  model->observe_inputs([&](const std::string& name, std::span<const float> rows, int64_t columns) {
    sums[name].add(rows, columns);
  });
  const size_t window = std::min(kMaxWindow, static_cast<size_t>(model->config().max_position_embeddings));
  size_t total = 0;
  for (const std::string& text : texts) {
    const std::vector<int32_t> ids = tokenizer->encode(text);
    for (size_t at = 0; at + 1 < ids.size() && total < kMaxTokens; at += window) {
      const size_t n = std::min(window, ids.size() - at);
      read_window(*model, std::span(ids).subspan(at, n));
      total += n;
    }
  }
  if (total < kMinTokens) {
    return fail(ErrorCode::kInvalidArgument, "expected calibration texts of at least {} tokens, got {}",
                kMinTokens, total);
  }
  Importance importance;
  for (const auto& [name, each] : sums) {
    std::vector<float>& mean = importance[name];
    for (const double square : each.squares) {
      mean.push_back(static_cast<float>(square / static_cast<double>(each.rows)));
    }
  }
  return importance;
}

}  // namespace volant
