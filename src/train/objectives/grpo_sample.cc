#include "train/objectives/grpo_sample.h"

#include <bit>

namespace volant {
namespace {

int64_t bits_of(double x) { return std::bit_cast<int64_t>(x); }
Json to_json(const std::vector<double>& numbers) {
  JsonArray all;
  for (const double x : numbers) all.emplace_back(bits_of(x));
  return all;
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

}  // namespace

Json to_json(const GrpoSample& s) {
  return JsonObject{{"ids", JsonArray(s.ids.begin(), s.ids.end())},
                    {"n_prompt", s.n_prompt},
                    {"reward", bits_of(s.reward)},
                    {"advantage", bits_of(s.advantage)},
                    {"ended", s.ended},
                    {"old", to_json(s.old)},
                    {"reference", to_json(s.reference)}};
}

Result<GrpoSample> grpo_sample(const Json& json, int64_t n_vocab) {
  GrpoSample s;
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

}  // namespace volant
