// GGUF version 3 (github.com/ggml-org/ggml/blob/master/docs/gguf.md), also reads version 2: metadata, tensor
// table, aligned data. Every length, type and offset is checked against the file's size before use.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/mapped_file.h"

namespace volant {

// A metadata value. Integers of all widths widen to int64/uint64; arrays hold one kind.
using GgufValue = std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<bool>,
                               std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;

// ggml's type numbers that are read here.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ4_NL = 20,
  kI32 = 26,
  kBF16 = 30,
};

struct GgufTensor {
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // row-major as in safetensors: {rows, columns}; the file stores the reverse
  std::span<const std::byte> bytes;
};

class GgufFile {
 public:
  static Result<GgufFile> open(const Path& path);
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor>& tensors() const { return tensors_; }
  // Lets go of the metadata whose keys begin so: a large vocabulary is 11 MB.
  void forget(std::string_view prefix);
  // Typed readers: kParse names the key when it is missing or of another type.
  Result<int64_t> get_int(const std::string& key) const;
  Result<double> get_number(const std::string& key) const;
  Result<std::string> get_string(const std::string& key) const;
  bool contains(const std::string& key) const { return metadata_.contains(key); }

 private:
  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  std::map<std::string, GgufTensor> tensors_;
};

// Writes metadata in order and tensors in order, aside and renamed.
// Types of metadata are given exactly by GgufField.
struct GgufField {
  enum class Type : uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64
  };
  std::string key;
  Type type;  // for an array: the type of its items, with is_array
  GgufValue value;
  bool is_array = false;
};
struct GgufOutTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;  // row-major
  std::span<const std::byte> bytes;
};
Status write_gguf(const Path& path, const std::vector<GgufField>& metadata,
                  const std::vector<GgufOutTensor>& tensors);

}  // namespace volant
