#include "tasks/table/table_encoder.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/nearest.h"
#include "tasks/row_files.h"

namespace volant {
namespace {

constexpr size_t kMaxFields = 4096;
constexpr size_t kMaxValues = 10'000;  // of a category; the most frequent are kept
constexpr int64_t kMaxFeatures = 1 << 20;
constexpr size_t kMaxValueBytes = 10'000;

bool is_missing(const Json& value) { return value.is_null(); }

// A value as the name of a category; nothing for what is no text, number or truth value.
std::optional<std::string> category_of(const Json& value) {
  if (value.is_string()) return std::string(trim_blanks(value.get_string()));
  if (value.is_number() || value.is_bool()) return dump_json(value);
  return std::nullopt;
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) {
    const double x = value.to_number<double>();
    return std::isfinite(x) ? std::optional(x) : std::nullopt;
  }
  if (value.is_string()) return parse_number(trim_blanks(value.get_string()));  // as forms send it
  return std::nullopt;
}

// What the training rows hold of one field.
struct Column {
  std::string name;
  std::vector<const Json*> values;  // those that are not missing
  bool numbers = true;              // all of them
};

Result<std::vector<Column>> columns_of(std::span<const TaskRow> rows) {
  std::vector<Column> columns;
  std::unordered_map<std::string, size_t> index;
  for (const TaskRow& row : rows) {
    if (!row.input.is_object())
      return fail(ErrorCode::kInvalidArgument, "expected the input to be an object of fields")
          .at("row '" + row.id + "'");
    for (const auto& entry : row.input.get_object()) {
      const auto [found, is_new] = index.emplace(entry.key(), columns.size());
      if (is_new) columns.push_back({.name = entry.key(), .values = {}});
      if (is_new && columns.size() > kMaxFields)
        return fail(ErrorCode::kLimit, "expected at most {} fields", kMaxFields);
      if (is_missing(entry.value())) continue;
      Column& column = columns[found->second];
      if (!category_of(entry.value()))
        return fail(ErrorCode::kInvalidArgument, "field '{}': expected a number or a text, got {}",
                    column.name, dump_json(entry.value()).substr(0, 100))
            .at("row '" + row.id + "'");
      column.values.push_back(&entry.value());
      column.numbers = column.numbers && entry.value().is_number();
    }
  }
  return columns;
}

Result<TableField> learn_number(const Column& column) {
  TableField field{.name = column.name, .is_number = true};
  std::vector<double> numbers;
  for (const Json* value : column.values) {
    const std::optional<double> x = number_of(*value);
    if (!x)
      return fail(ErrorCode::kInvalidArgument, "field '{}' is a number by [data.types], but a row has {}",
                  column.name, dump_json(*value).substr(0, 100));
    numbers.push_back(*x);
  }
  if (numbers.empty()) return field;
  double sum = 0;
  for (const double x : numbers) sum += x;
  const auto n = static_cast<double>(numbers.size());
  field.mean = sum / n;
  double squares = 0;
  for (const double x : numbers) squares += (x - field.mean) * (x - field.mean);
  field.deviation = std::sqrt(squares / n);
  if (!(field.deviation > 1e-12 * std::abs(field.mean))) field.deviation = 1;  // a constant
  field.example = *column.values.front();
  std::sort(numbers.begin(), numbers.end());
  field.median = numbers[numbers.size() / 2];
  field.minimum = numbers.front();
  field.maximum = numbers.back();
  return field;
}

TableField learn_category(const Column& column, int64_t min_count) {
  TableField field{.name = column.name};
  std::map<std::string, int64_t> counts;
  for (const Json* value : column.values) ++counts[*category_of(*value)];
  std::vector<std::pair<int64_t, std::string>> kept;  // most frequent first, then by name
  for (const auto& [value, count] : counts)
    if (count >= min_count && value.size() <= kMaxValueBytes) kept.emplace_back(-count, value);
  std::sort(kept.begin(), kept.end());
  if (kept.size() > kMaxValues) kept.resize(kMaxValues);
  if (!kept.empty()) field.example = Json(kept.front().second);
  for (auto& [count, value] : kept) field.values.push_back(std::move(value));
  std::sort(field.values.begin(), field.values.end());
  return field;
}

template <class List>
std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  for (const auto& entry : list) names.push_back(entry.name);
  return names;
}

Status check_types(const TableOptions& options, const std::vector<Column>& columns) {
  const std::vector<std::string> names = names_of(columns);
  for (const auto& [name, type] : options.types)
    if (std::find(names.begin(), names.end(), name) == names.end())
      return fail(ErrorCode::kInvalidArgument, "[data.types] names the column '{}', which no row has{}", name,
                  did_you_mean(name, names));
  return {};
}

}  // namespace

Result<std::unique_ptr<TableEncoder>> TableEncoder::learn(const TableOptions& options,
                                                          std::span<const TaskRow> train) {
  const std::vector<Column> columns = TRY(columns_of(train));
  if (columns.empty())
    return fail(ErrorCode::kInvalidArgument, "the training rows have no fields to learn from");
  TRY(check_types(options, columns));
  std::unique_ptr<TableEncoder> encoder(new TableEncoder);
  for (const Column& column : columns) {
    bool number = column.numbers && !column.values.empty();
    for (const auto& [name, type] : options.types)
      if (name == column.name) number = type == "number";
    TableField field = number ? TRY(learn_number(column)) : learn_category(column, options.min_count);
    field.gaps = column.values.size() < train.size();
    encoder->fields_.push_back(std::move(field));
  }
  TRY(encoder->index());
  return encoder;
}

Status TableEncoder::index() {
  n_features_ = 0;
  value_index_.assign(fields_.size(), {});
  name_index_.clear();
  for (size_t i = 0; i < fields_.size(); ++i) {
    TableField& field = fields_[i];
    field.begin = n_features_;
    n_features_ += field.n_features();
    if (n_features_ > kMaxFeatures)
      return fail(ErrorCode::kLimit, "expected at most {} features: raise min_count or ignore a column",
                  kMaxFeatures);
    if (!name_index_.emplace(field.name, i).second)
      return fail(ErrorCode::kParse, "field '{}' occurs twice", field.name);
    for (size_t k = 0; k < field.values.size(); ++k)
      if (!value_index_[i].emplace(field.values[k], static_cast<int64_t>(k)).second)
        return fail(ErrorCode::kParse, "field '{}': the value '{}' occurs twice", field.name,
                    field.values[k]);
  }
  return {};
}

void TableEncoder::write_missing(const TableField& field, std::span<float> features) {
  const std::span<float> own =
      features.subspan(static_cast<size_t>(field.begin), static_cast<size_t>(field.n_features()));
  std::fill(own.begin(), own.end(), 0.0F);
  if (field.is_number) own[0] = static_cast<float>((field.median - field.mean) / field.deviation);
  // Without a feature for it, missing is what was never seen.
  if (field.gaps || !field.is_number) own.back() = 1;
}

Status TableEncoder::write(size_t i, const Json& value, std::span<float> features) const {
  const TableField& field = fields_[i];
  const auto refuse = [&](const char* expected) {
    return fail(ErrorCode::kInvalidArgument, "field '{}': expected {}, got {}", field.name, expected,
                dump_json(value).substr(0, 100));
  };
  const auto begin = static_cast<size_t>(field.begin);
  if (is_missing(value)) {
    write_missing(field, features);
  } else if (field.is_number) {
    const std::optional<double> x = number_of(value);
    if (!x) return refuse("a number");
    features[begin] = static_cast<float>((*x - field.mean) / field.deviation);
  } else {
    const std::optional<std::string> text = category_of(value);
    if (!text || text->size() > kMaxValueBytes) return refuse("a short text");
    const auto found = value_index_[i].find(*text);
    features[begin +
             (found == value_index_[i].end() ? field.values.size() : static_cast<size_t>(found->second))] = 1;
  }
  return {};
}

Result<EncodedInput> TableEncoder::encode(const Json& input) const {
  if (!input.is_object())
    return fail(ErrorCode::kInvalidArgument, "expected the input to be an object such as {}",
                dump_json(JsonObject{{fields_[0].name, fields_[0].example}}));
  const JsonObject& object = input.get_object();
  for (const auto& entry : object) {
    const std::string key(entry.key());
    if (!name_index_.contains(key))
      return fail(ErrorCode::kInvalidArgument, "unknown field '{}'{}", key,
                  did_you_mean(key, names_of(fields_)));
  }
  EncodedInput out{.features = std::vector<float>(static_cast<size_t>(n_features_))};
  bool any = false;
  for (size_t i = 0; i < fields_.size(); ++i) {
    const Json* value = json_find(object, fields_[i].name);
    any = any || value != nullptr;
    TRY(write(i, value == nullptr ? Json(nullptr) : *value, out.features));
  }
  if (!any)
    return fail(ErrorCode::kInvalidArgument, "every field is missing; expected some of '{}' and {} more",
                fields_[0].name, fields_.size() - 1);
  return out;
}

std::string TableEncoder::origin(const Json&, int64_t i) const {
  const auto after = std::upper_bound(fields_.begin(), fields_.end(), i,
                                      [](int64_t at, const TableField& field) { return at < field.begin; });
  return after == fields_.begin() ? std::string() : std::prev(after)->name;
}

Result<std::vector<InputPart>> TableEncoder::parts(const Json&) const {
  std::vector<float> usual(static_cast<size_t>(n_features_));
  std::vector<InputPart> parts;
  for (size_t i = 0; i < fields_.size(); ++i) {
    const TableField& field = fields_[i];
    // A number's mean is 0; a category's example is its most frequent value.
    if (!field.is_number) TRY(write(i, field.example, usual));
    InputPart part{.name = field.name};
    const auto begin = static_cast<size_t>(field.begin);
    for (size_t at = begin; at < begin + static_cast<size_t>(field.n_features()); ++at) {
      part.at.push_back(at);
      part.otherwise.push_back(usual[at]);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

Json TableEncoder::schema() const {
  JsonArray fields;
  for (const TableField& field : fields_) {
    JsonObject json{{"name", field.name},
                    {"type", field.is_number ? "number" : "category"},
                    {"example", field.example},
                    {"optional", field.gaps}};
    if (field.is_number) {
      json["minimum"] = field.minimum;
      json["maximum"] = field.maximum;
    } else {
      json["values"] = JsonArray(field.values.begin(), field.values.end());
    }
    fields.push_back(std::move(json));
  }
  return JsonObject{{"kind", "table"}, {"fields", std::move(fields)}};
}

Json TableEncoder::to_json() const {
  JsonArray fields;
  for (const TableField& field : fields_) {
    JsonObject json{
        {"name", field.name}, {"type", field.is_number ? "number" : "category"}, {"gaps", field.gaps}};
    if (field.is_number) {
      json["mean"] = field.mean;
      json["deviation"] = field.deviation;
      json["median"] = field.median;
      json["minimum"] = field.minimum;
      json["maximum"] = field.maximum;
    } else {
      json["values"] = JsonArray(field.values.begin(), field.values.end());
    }
    json["example"] = field.example;
    fields.push_back(std::move(json));
  }
  return JsonObject{{"task", "table"}, {"version", kEncoderVersion}, {"fields", std::move(fields)}};
}

Status TableEncoder::save(const Path& folder) const {
  return write_file_atomic(folder / "encoder.json", dump_json_pretty(to_json()));
}

namespace {

Result<double> finite(const Json& json, std::string_view key) {
  const double value = TRY(json_number(json, key));
  if (!std::isfinite(value) || std::abs(value) > 1e300)
    return fail(ErrorCode::kParse, "expected '{}' to be a finite number", key);
  return value;
}

Result<TableField> parse_field(const Json& json) {
  TableField field;
  field.name = TRY(json_string(json, "name"));
  const std::string type = TRY(json_string(json, "type"));
  if (type != "number" && type != "category")
    return fail(ErrorCode::kParse, "field '{}': expected 'type' number or category, got '{}'", field.name,
                type);
  field.is_number = type == "number";
  field.gaps = TRY(json_bool(json, "gaps"));
  if (const Json* example = json_find(json, "example")) field.example = *example;
  if (field.is_number) {
    field.mean = TRY(finite(json, "mean"));
    field.deviation = TRY(finite(json, "deviation"));
    field.median = TRY(finite(json, "median"));
    field.minimum = TRY(finite(json, "minimum"));
    field.maximum = TRY(finite(json, "maximum"));
    if (!(field.deviation > 0))
      return fail(ErrorCode::kParse, "field '{}': expected 'deviation' above 0", field.name);
    return field;
  }
  const Json* values = json_find(json, "values");
  if (values == nullptr || !values->is_array() || values->get_array().size() > kMaxValues)
    return fail(ErrorCode::kParse, "field '{}': expected 'values', a list of at most {}", field.name,
                kMaxValues);
  for (const Json& value : values->get_array()) {
    if (!value.is_string())
      return fail(ErrorCode::kParse, "field '{}': expected 'values' to be texts", field.name);
    field.values.emplace_back(value.get_string());
  }
  return field;
}

}  // namespace

Result<std::unique_ptr<TableEncoder>> TableEncoder::from_json(const Json& json) {
  const Json* fields = json_find(json, "fields");
  if (fields == nullptr || !fields->is_array() || fields->get_array().empty() ||
      fields->get_array().size() > kMaxFields)
    return fail(ErrorCode::kParse, "expected 'fields', a list of 1 to {}", kMaxFields);
  std::unique_ptr<TableEncoder> encoder(new TableEncoder);
  for (const Json& field : fields->get_array()) encoder->fields_.push_back(TRY(parse_field(field)));
  TRY(encoder->index());
  return encoder;
}

Result<std::unique_ptr<TableEncoder>> TableEncoder::load(const Path& folder) {
  Result<std::unique_ptr<TableEncoder>> encoder = from_json(TRY(read_encoder_json(folder, "table")));
  if (!encoder) return std::move(encoder).error().at((folder / "encoder.json").string());
  return encoder;
}

}  // namespace volant
