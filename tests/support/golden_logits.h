// The golden logits of a real model: the ten best of every position (of a long text: of the last one), the
// loss of every token, and where a file has them, all logits of the first text. Tolerances are those of
// float32.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "support/npy.h"

namespace volant::testing {

inline std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
  return ids;
}

// -log p(id) of one row of logits.
inline double nll(std::span<const float> row, int32_t id) {
  double largest = -1e30, sum = 0;
  for (const float v : row) largest = std::max(largest, static_cast<double>(v));
  for (const float v : row) sum += std::exp(static_cast<double>(v) - largest);
  return largest + std::log(sum) - static_cast<double>(row[static_cast<size_t>(id)]);
}

inline void expect_losses(const std::vector<float>& logits, const std::vector<int32_t>& ids,
                          const Json& expected) {
  const size_t n_vocab = logits.size() / ids.size();
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    const double want = expected.as_array()[t].to_number<double>();
    ASSERT_NEAR(nll({logits.data() + t * n_vocab, n_vocab}, ids[t + 1]), want, 1e-3) << "position " << t;
  }
}

inline void expect_best_logits(const std::vector<float>& logits, size_t n_rows, const Json& test) {
  const size_t n_vocab = logits.size() / n_rows;
  const auto expect_row = [&](size_t row, const Json& ids, const Json& values) {
    for (size_t k = 0; k < 10; ++k)
      ASSERT_NEAR(logits[row * n_vocab + static_cast<size_t>(ids.at(k).as_int64())],
                  values.at(k).to_number<double>(), 1e-3)
          << "position " << row;
  };
  if (test.as_object().contains("last_top10_ids"))
    return expect_row(n_rows - 1, test.at("last_top10_ids"), test.at("last_top10_logits"));
  ASSERT_EQ(test.at("top10_ids").as_array().size(), n_rows);
  for (size_t row = 0; row < n_rows; ++row)
    expect_row(row, test.at("top10_ids").at(row), test.at("top10_logits").at(row));
}

// `logits_of` gives the logits of every position of a text, [ids, vocab]. `first_only`: the first text of the
// folder, for slow models.
inline void expect_golden_logits(
    const Path& golden, const std::function<std::vector<float>(const std::vector<int32_t>&)>& logits_of,
    bool first_only = false) {
  const Json json = parse_json(read_file(golden / "logits.json").value()).value();
  bool first = true;
  for (const Json& test : json.at("cases").as_array()) {
    if (first_only && !first) break;
    const std::vector<int32_t> ids = ids_of(test.at("ids"));
    const std::vector<float> logits = logits_of(ids);
    expect_losses(logits, ids, test.at("nll"));
    expect_best_logits(logits, ids.size(), test);
    if (first && std::filesystem::exists(golden / "logits.npy")) {
      const std::vector<float> expected = read_npy(golden / "logits.npy");
      ASSERT_EQ(logits.size(), expected.size());
      for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-3) << i;
    }
    first = false;
  }
}

}  // namespace volant::testing
