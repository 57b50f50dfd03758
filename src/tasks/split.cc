#include "tasks/split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "base/digest.h"
#include "tasks/row_files.h"

namespace volant {
namespace {

constexpr std::array<std::string_view, 5> kSplitKeys = {"split", "validation_share", "test_share", "seed",
                                                        "max_rows"};

// Rows that stay together.
struct Unit {
  std::vector<size_t> rows;
  uint64_t chance = 0;    // its place in the order, from the seed
  std::string name = {};  // the later place among equals
};

// Units of one label; what is split off comes from the front.
struct Stratum {
  std::vector<Unit> units;
  size_t n_rows = 0, next = 0;
};

const std::string& name_of(const std::string& by, const TaskRow& row) {
  return by == "time" ? row.time : row.group;
}

// What a row must share with another one to stay with it.
Result<std::string> key_of(const std::string& by, const TaskRow& row) {
  if (by != "time" && by != "group") return dump_json(row.input);
  const std::string& name = name_of(by, row);
  if (name.empty())
    return fail(ErrorCode::kInvalidArgument, "split = \"{}\" in [data], but a row has no {}: name its column",
                by, by)
        .at("row '" + row.id + "'");
  return name;
}

bool all_numbers(std::span<const TaskRow> rows, const std::vector<size_t>& open) {
  return std::all_of(open.begin(), open.end(),
                     [&](size_t i) { return parse_number(rows[i].time).has_value(); });
}

Result<std::vector<Stratum>> strata_of(std::span<const TaskRow> rows, const std::vector<size_t>& open,
                                       const std::string& by, uint64_t seed) {
  std::map<std::string, std::vector<Unit>> units;  // by label, or all under ""
  std::unordered_map<std::string, std::pair<std::string, size_t>> known;
  for (const size_t i : open) {
    std::string key = TRY(key_of(by, rows[i]));
    const std::string label = by == "stratified" ? rows[i].label : "";
    const auto [found, is_new] = known.try_emplace(key, label, units[label].size());
    std::vector<Unit>& list = units[found->second.first];
    if (is_new) list.push_back({.rows = {}, .chance = hash64(key, seed), .name = std::move(key)});
    list[found->second.second].rows.push_back(i);
  }
  const bool numeric = by == "time" && all_numbers(rows, open);
  std::vector<Stratum> out;
  for (auto& [label, list] : units) {
    if (list.empty()) continue;
    std::sort(list.begin(), list.end(), [&](const Unit& a, const Unit& b) {
      if (by != "time") return a.chance != b.chance ? a.chance < b.chance : a.name < b.name;
      if (numeric) return *parse_number(a.name) > *parse_number(b.name);
      return a.name > b.name;  // the latest first
    });
    Stratum stratum{.units = std::move(list)};
    for (const Unit& unit : stratum.units) stratum.n_rows += unit.rows.size();
    out.push_back(std::move(stratum));
  }
  return out;
}

// How many rows each stratum gives: its share, rounded so that the sum is that of all rows.
std::vector<size_t> quotas_of(const std::vector<Stratum>& strata, double share) {
  std::vector<size_t> out;
  std::vector<std::pair<double, size_t>> rests;
  double total = 0, given = 0;
  for (size_t s = 0; s < strata.size(); ++s) {
    const double exact = share * static_cast<double>(strata[s].n_rows);
    out.push_back(static_cast<size_t>(exact));
    rests.emplace_back(-(exact - std::floor(exact)), s);
    total += exact;
    given += std::floor(exact);
  }
  std::sort(rests.begin(), rests.end());
  const auto missing = static_cast<size_t>(std::llround(total - given));
  for (size_t i = 0; i < std::min(missing, rests.size()); ++i) ++out[rests[i].second];
  return out;
}

void take(std::vector<Stratum>& strata, double share, Part part, std::vector<Part>& out) {
  const std::vector<size_t> quotas = quotas_of(strata, share);
  for (size_t s = 0; s < strata.size(); ++s) {
    Stratum& stratum = strata[s];
    // The last unit of all stays for training.
    for (size_t taken = 0; stratum.next + 1 < stratum.units.size(); ++stratum.next) {
      const std::vector<size_t>& rows = stratum.units[stratum.next].rows;
      if (taken + (rows.size() + 1) / 2 > quotas[s]) break;
      for (const size_t row : rows) out[row] = part;
      taken += rows.size();
    }
  }
}

Status check_groups(std::span<const TaskRow> rows, const std::vector<Part>& parts) {
  std::unordered_map<std::string, Part> known;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto [found, is_new] = known.emplace(rows[i].group, parts[i]);
    if (!is_new && found->second != parts[i])
      return fail(ErrorCode::kInvalidArgument, "the group '{}' stands in the files of two parts",
                  rows[i].group)
          .at("row '" + rows[i].id + "'");
  }
  return {};
}

}  // namespace

Result<SplitOptions> take_split_options(JsonObject& data) {
  JsonObject own;
  for (const std::string_view key : kSplitKeys)
    if (const Json* value = data.if_contains(key); value != nullptr) {
      own[key] = *value;
      data.erase(key);
    }
  const Json json = std::move(own);
  Settings settings(json, "data");
  SplitOptions out;
  out.by = settings.choice("split", {"", "random", "stratified", "time", "group"});
  out.validation_share = settings.number("validation_share", out.validation_share, 0, 0.5);
  out.test_share = settings.number("test_share", out.test_share, 0, 0.5);
  out.seed = static_cast<uint64_t>(settings.integer("seed", 1, 0, INT64_MAX));
  out.max_rows = settings.integer("max_rows", 0, 0, INT64_MAX);
  TRY(settings.finish());
  if (out.validation_share + out.test_share > 0.9)
    return fail(ErrorCode::kInvalidArgument,
                "'validation_share' and 'test_share' in [data] leave too few rows to learn from");
  return out;
}

Result<std::vector<Part>> split_rows(std::span<const TaskRow> rows, std::span<const std::string> parts,
                                     const SplitOptions& options) {
  if (rows.size() != parts.size())
    return fail(ErrorCode::kInternal, "{} rows, but {} parts", rows.size(), parts.size());
  std::vector<Part> out(rows.size(), Part::kTrain);
  std::vector<size_t> open;  // rows whose part is not said by their file
  bool has_test = false, has_validation = false, has_labels = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    has_labels = has_labels || !rows[i].label.empty();
    if (parts[i] == "test") {
      out[i] = Part::kTest;
      has_test = true;
    } else if (parts[i] == "validation") {
      out[i] = Part::kValidation;
      has_validation = true;
    } else {
      open.push_back(i);
    }
  }
  const std::string by = !options.by.empty() ? options.by : has_labels ? "stratified" : "random";
  std::vector<Stratum> strata = TRY(strata_of(rows, open, by, options.seed));
  if (!has_test && options.test_share > 0) take(strata, options.test_share, Part::kTest, out);
  if (!has_validation && options.validation_share > 0)
    take(strata, options.validation_share, Part::kValidation, out);
  if (by == "group") TRY(check_groups(rows, out));
  const auto need = [&](Part part, double share, const char* name) -> Status {
    if (share > 0 && std::find(out.begin(), out.end(), part) == out.end())
      return fail(ErrorCode::kInvalidArgument, "{} rows are too few: none is left for {}", rows.size(), name);
    return {};
  };
  TRY(need(Part::kTest, has_test ? 1 : options.test_share, "the test"));
  TRY(need(Part::kValidation, has_validation ? 1 : options.validation_share, "validation"));
  TRY(need(Part::kTrain, 1, "training"));
  return out;
}

}  // namespace volant
