// Rows of a table to numbers. A number is (x - mean) / deviation, the median where it is missing, with one
// more feature that says so when the training rows had gaps. A category is one feature for each of its
// values, one for a value that is rare or was never seen, and one for missing when the training rows had
// gaps.
#pragma once
#include <unordered_map>

#include "tasks/task.h"

namespace volant {

struct TableField {
  std::string name = {};
  bool is_number = false;
  bool gaps = false;  // some training rows had none
  double mean = 0, deviation = 1, median = 0, minimum = 0, maximum = 0;
  std::vector<std::string> values = {};  // of a category, sorted
  Json example = {};
  int64_t begin = 0;  // its first feature
  int64_t n_features() const {
    return (is_number ? 1 : static_cast<int64_t>(values.size()) + 1) + (gaps ? 1 : 0);
  }
};

struct TableOptions {
  std::vector<std::pair<std::string, std::string>> types = {};  // name, "number" or "category"
  int64_t min_count = 5;  // training rows with a value of a category, or it is rare
};

class TableEncoder : public InputEncoder {
 public:
  // A field whose values are all numbers is a number, unless `types` says otherwise. kInvalidArgument.
  static Result<std::unique_ptr<TableEncoder>> learn(const TableOptions& options,
                                                     std::span<const TaskRow> train);
  static Result<std::unique_ptr<TableEncoder>> load(const Path& folder);
  static Result<std::unique_ptr<TableEncoder>> from_json(const Json& json);

  Result<EncodedInput> encode(const Json& input) const override;
  int64_t n_features() const override { return n_features_; }
  int64_t n_vocab() const override { return 0; }
  std::vector<int64_t> shape() const override { return {n_features_}; }
  std::string origin(const Json& input, int64_t i) const override;  // the field's name
  Result<std::vector<InputPart>> parts(const Json& input) const override;
  Json schema() const override;
  Status save(const Path& folder) const override;
  Json to_json() const;

  std::span<const TableField> fields() const { return fields_; }
  // Writes the features of a field that is missing.
  static void write_missing(const TableField& field, std::span<float> features);

 private:
  TableEncoder() = default;
  Status index();  // begin of every field, and where names and values stand
  Status write(size_t field, const Json& value, std::span<float> features) const;

  std::vector<TableField> fields_;
  std::vector<std::unordered_map<std::string, int64_t>> value_index_;  // of each field
  std::unordered_map<std::string, size_t> name_index_;
  int64_t n_features_ = 0;
};

}  // namespace volant
