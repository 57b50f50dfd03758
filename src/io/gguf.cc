#include "io/gguf.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "io/gguf_layout.h"

namespace volant {
namespace {

using Type = GgufField::Type;

constexpr uint64_t kMaxKeyBytes = 65535, kMaxNameBytes = 4096;

struct BlockInfo {
  int64_t numbers, bytes;
};

std::optional<BlockInfo> block_info(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
    case GgmlType::kI32:
      return BlockInfo{1, 4};
    case GgmlType::kF16:
    case GgmlType::kBF16:
      return BlockInfo{1, 2};
    case GgmlType::kQ4_0:
      return BlockInfo{32, 18};
    case GgmlType::kQ4_1:
      return BlockInfo{32, 20};
    case GgmlType::kQ5_0:
      return BlockInfo{32, 22};
    case GgmlType::kQ5_1:
      return BlockInfo{32, 24};
    case GgmlType::kQ8_0:
      return BlockInfo{32, 34};
    case GgmlType::kQ2_K:
      return BlockInfo{256, 84};
    case GgmlType::kQ3_K:
      return BlockInfo{256, 110};
    case GgmlType::kQ4_K:
      return BlockInfo{256, 144};
    case GgmlType::kQ5_K:
      return BlockInfo{256, 176};
    case GgmlType::kQ6_K:
      return BlockInfo{256, 210};
    case GgmlType::kIQ2_XXS:
      return BlockInfo{256, 66};
    case GgmlType::kIQ4_NL:
      return BlockInfo{32, 18};
  }
  return std::nullopt;
}

// Reads little-endian values from the mapped file; every read is checked against its end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  template <class T>
  Result<T> read() {
    if (left() < sizeof(T)) return cut_off(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  Result<std::string> read_string(uint64_t max_bytes) {
    const uint64_t n = TRY(read<uint64_t>());
    if (n > left()) return cut_off(n);
    if (n > max_bytes)
      return fail(ErrorCode::kParse, "expected a name of at most {} bytes, got {}, at byte {}", max_bytes, n,
                  at_);
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, n);
    at_ += n;
    return text;
  }
  Error cut_off(uint64_t wanted) const {
    return fail(ErrorCode::kParse, "expected {} more bytes at byte {}, {} are left: cut off or damaged",
                wanted, at_, left());
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

template <class T, class To>
Result<GgufValue> scalar(Cursor& in) {
  return GgufValue(static_cast<To>(TRY(in.read<T>())));
}

Result<GgufValue> read_scalar(Cursor& in, uint32_t type) {
  switch (static_cast<Type>(type)) {
    case Type::kU8:
      return scalar<uint8_t, uint64_t>(in);
    case Type::kI8:
      return scalar<int8_t, int64_t>(in);
    case Type::kU16:
      return scalar<uint16_t, uint64_t>(in);
    case Type::kI16:
      return scalar<int16_t, int64_t>(in);
    case Type::kU32:
      return scalar<uint32_t, uint64_t>(in);
    case Type::kI32:
      return scalar<int32_t, int64_t>(in);
    case Type::kU64:
      return scalar<uint64_t, uint64_t>(in);
    case Type::kI64:
      return scalar<int64_t, int64_t>(in);
    case Type::kF32:
      return scalar<float, double>(in);
    case Type::kF64:
      return scalar<double, double>(in);
    case Type::kString:
      return GgufValue(TRY(in.read_string(UINT64_MAX)));
    case Type::kBool: {
      const uint8_t byte = TRY(in.read<uint8_t>());
      if (byte > 1) return fail(ErrorCode::kParse, "expected a boolean of 0 or 1, got {}", byte);
      return GgufValue(byte == 1);
    }
    case Type::kArray:
      break;
  }
  return fail(ErrorCode::kParse, "unknown value type {} at byte {}", type, in.at());
}

uint64_t scalar_bytes(Type type) {
  switch (type) {
    case Type::kU8:
    case Type::kI8:
    case Type::kBool:
      return 1;
    case Type::kU16:
    case Type::kI16:
      return 2;
    case Type::kU32:
    case Type::kI32:
    case Type::kF32:
      return 4;
    case Type::kU64:
    case Type::kI64:
    case Type::kF64:
    case Type::kString:
      return 8;  // a string is at least its length
    case Type::kArray:
      break;
  }
  return 1;
}

template <class To>
Result<GgufValue> read_items(Cursor& in, uint32_t type, uint64_t n) {
  std::vector<To> items;
  items.reserve(n);
  for (uint64_t i = 0; i < n; ++i) {
    GgufValue item = TRY(read_scalar(in, type));
    if constexpr (std::is_same_v<To, int64_t>) {
      if (const uint64_t* number = std::get_if<uint64_t>(&item)) {
        if (*number > INT64_MAX)
          return fail(ErrorCode::kUnsupported, "an array holds {}, over 63 bits", *number);
        item = static_cast<int64_t>(*number);
      }
    }
    items.push_back(std::move(std::get<To>(item)));
  }
  return GgufValue(std::move(items));
}

Result<GgufValue> read_value(Cursor& in) {
  const uint32_t type = TRY(in.read<uint32_t>());
  if (static_cast<Type>(type) != Type::kArray) return read_scalar(in, type);
  const uint32_t item_type = TRY(in.read<uint32_t>());
  const uint64_t n = TRY(in.read<uint64_t>());
  if (item_type > static_cast<uint32_t>(Type::kF64))
    return fail(ErrorCode::kParse, "unknown item type {}", item_type);
  const Type item = static_cast<Type>(item_type);
  if (item == Type::kArray) return fail(ErrorCode::kUnsupported, "arrays of arrays are not read here");
  if (n > in.left() / scalar_bytes(item)) {
    return fail(ErrorCode::kParse, "an array of {} items does not fit the {} bytes left: cut off or damaged",
                n, in.left());
  }
  switch (item) {
    case Type::kBool:
      return read_items<bool>(in, item_type, n);
    case Type::kString:
      return read_items<std::string>(in, item_type, n);
    case Type::kF32:
    case Type::kF64:
      return read_items<double>(in, item_type, n);
    default:
      return read_items<int64_t>(in, item_type, n);
  }
}

struct Placed {
  uint64_t offset, bytes;
  std::string name;
};

Result<Placed> read_tensor_info(Cursor& in, GgufTensor& tensor) {
  Placed placed{0, 0, TRY(in.read_string(kMaxNameBytes))};
  const auto named = [&placed](Error error) { return std::move(error).at("tensor '" + placed.name + "'"); };
  const uint32_t rank = TRY(in.read<uint32_t>());
  if (rank > kMaxGgufRank)
    return named(fail(ErrorCode::kParse, "expected at most {} dimensions, got {}", kMaxGgufRank, rank));
  for (uint32_t i = 0; i < rank; ++i) {
    const uint64_t d = TRY(in.read<uint64_t>());
    if (d > INT64_MAX)
      return named(fail(ErrorCode::kParse, "the shape has more numbers than a file can hold"));
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(d));
  }
  tensor.type = static_cast<GgmlType>(TRY(in.read<uint32_t>()));
  placed.offset = TRY(in.read<uint64_t>());
  Result<uint64_t> bytes = gguf_tensor_bytes(tensor.type, tensor.shape);
  if (!bytes) return named(std::move(bytes).error());
  placed.bytes = *bytes;
  return placed;
}

Status check_overlap(std::vector<Placed> placed) {
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < placed.size(); ++i) {
    if (placed[i - 1].offset + placed[i - 1].bytes > placed[i].offset) {
      return fail(ErrorCode::kParse, "its data overlaps that of '{}'", placed[i - 1].name)
          .at("tensor '" + placed[i].name + "'");
    }
  }
  return {};
}

using Metadata = std::map<std::string, GgufValue>;
using Tensors = std::map<std::string, GgufTensor>;

Status parse(std::span<const std::byte> bytes, Metadata& metadata, Tensors& tensors) {
  Cursor in(bytes);
  if (bytes.size() < 24 || TRY(in.read<uint32_t>()) != kGgufMagic) {
    return fail(ErrorCode::kParse, "expected a GGUF file (it begins with \"GGUF\")");
  }
  const uint32_t version = TRY(in.read<uint32_t>());
  if (version != 2 && version != 3)
    return fail(ErrorCode::kUnsupported, "expected GGUF version 2 or 3, got {}", version);
  const uint64_t n_tensors = TRY(in.read<uint64_t>());
  const uint64_t n_fields = TRY(in.read<uint64_t>());
  for (uint64_t i = 0; i < n_fields; ++i) {  // a count that lies ends at the file's end
    std::string key = TRY(in.read_string(kMaxKeyBytes));
    Result<GgufValue> value = read_value(in);
    if (!value) return std::move(value).error().at("key '" + key + "'");
    if (metadata.contains(key)) return fail(ErrorCode::kParse, "key '{}' comes twice", key);
    metadata.emplace(std::move(key), std::move(value).value());
  }
  uint64_t alignment = kGgufAlignment;
  if (const auto found = metadata.find("general.alignment"); found != metadata.end()) {
    const uint64_t* given = std::get_if<uint64_t>(&found->second);
    if (given == nullptr || !is_gguf_alignment(*given)) {
      return fail(ErrorCode::kParse, "expected general.alignment to be a power of two (uint32)");
    }
    alignment = *given;
  }
  std::vector<Placed> placed;
  for (uint64_t i = 0; i < n_tensors; ++i) {
    GgufTensor tensor;
    placed.push_back(TRY(read_tensor_info(in, tensor)));
    if (!tensors.emplace(placed.back().name, std::move(tensor)).second) {
      return fail(ErrorCode::kParse, "tensor '{}' comes twice", placed.back().name);
    }
  }
  const uint64_t data_at = std::min<uint64_t>(align_up(in.at(), alignment), bytes.size());
  const std::span<const std::byte> data = bytes.subspan(data_at);
  for (const Placed& place : placed) {
    if (place.offset % alignment != 0 || place.offset > data.size() ||
        place.bytes > data.size() - place.offset) {
      return fail(ErrorCode::kParse,
                  "expected {} aligned bytes at offset {}, the file has {} data bytes: cut off or damaged",
                  place.bytes, place.offset, data.size())
          .at("tensor '" + place.name + "'");
    }
    tensors[place.name].bytes = data.subspan(place.offset, place.bytes);
  }
  return check_overlap(std::move(placed));
}

}  // namespace

Result<uint64_t> gguf_tensor_bytes(GgmlType type, const std::vector<int64_t>& shape) {
  const std::optional<BlockInfo> block = block_info(type);
  if (!block)
    return fail(ErrorCode::kUnsupported, "ggml type {} is not read here", static_cast<uint32_t>(type));
  const int64_t columns = shape.empty() ? 1 : shape.back();
  if (columns < 0 || columns % block->numbers != 0) {
    return fail(ErrorCode::kParse, "expected rows of a multiple of {} numbers, got {}", block->numbers,
                columns);
  }
  uint64_t bytes = 0;
  bool over = __builtin_mul_overflow(static_cast<uint64_t>(columns / block->numbers),
                                     static_cast<uint64_t>(block->bytes), &bytes);
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    over = over || shape[i] < 0 || shape.size() > kMaxGgufRank ||
           __builtin_mul_overflow(bytes, static_cast<uint64_t>(shape[i]), &bytes);
  }
  if (over) return fail(ErrorCode::kParse, "the shape has more numbers than a file can hold");
  return bytes;
}

Result<GgufFile> GgufFile::open(const Path& path) {
  GgufFile file;
  file.file_ = TRY(MappedFile::open(path));
  Status parsed = parse(file.file_.bytes(), file.metadata_, file.tensors_);
  if (!parsed) return std::move(parsed).error().at(path.string());
  // The metadata is copied: its pages need not stay (they can be read again).
  const std::span<const std::byte> bytes = file.file_.bytes();
  const std::byte* end = bytes.data() + bytes.size();
  for (const auto& [name, tensor] : file.tensors_)
    if (!tensor.bytes.empty()) end = std::min(end, tensor.bytes.data());
  madvise(const_cast<std::byte*>(bytes.data()), static_cast<size_t>(end - bytes.data()), MADV_DONTNEED);
  return file;
}

void GgufFile::forget(std::string_view prefix) {
  std::erase_if(metadata_, [&](const auto& each) { return each.first.starts_with(prefix); });
}

namespace {
Error wrong_key(const Metadata& metadata, const std::string& key, const char* expected) {
  return fail(ErrorCode::kParse, "expected GGUF key '{}' ({}), and it is {}", key, expected,
              metadata.contains(key) ? "of another type" : "missing");
}
}  // namespace

Result<int64_t> GgufFile::get_int(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found != metadata_.end()) {
    if (const int64_t* number = std::get_if<int64_t>(&found->second)) return *number;
    if (const uint64_t* number = std::get_if<uint64_t>(&found->second);
        number != nullptr && *number <= INT64_MAX) {
      return static_cast<int64_t>(*number);
    }
  }
  return wrong_key(metadata_, key, "an integer");
}

Result<double> GgufFile::get_number(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found != metadata_.end()) {
    if (const double* number = std::get_if<double>(&found->second)) return *number;
    if (const int64_t* number = std::get_if<int64_t>(&found->second)) return static_cast<double>(*number);
    if (const uint64_t* number = std::get_if<uint64_t>(&found->second)) return static_cast<double>(*number);
  }
  return wrong_key(metadata_, key, "a number");
}

Result<std::string> GgufFile::get_string(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found != metadata_.end()) {
    if (const std::string* text = std::get_if<std::string>(&found->second)) return *text;
  }
  return wrong_key(metadata_, key, "a string");
}

}  // namespace volant
