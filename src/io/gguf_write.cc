// Writing GGUF version 3.
#include <cmath>
#include <limits>
#include <set>

#include "io/atomic_file.h"
#include "io/gguf.h"
#include "io/gguf_layout.h"

namespace volant {
namespace {

using Type = GgufField::Type;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_string(std::string& out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out += text;
}

// An integer of any kind as T, when it fits.
template <class T, class From>
Status put_int(std::string& out, From value) {
  if (!std::in_range<T>(value))
    return fail(ErrorCode::kInvalidArgument, "{} does not fit the field's type", value);
  put(out, static_cast<T>(value));
  return {};
}

template <class From>
Status put_number(std::string& out, Type type, From value) {
  switch (type) {
    case Type::kU8:
      return put_int<uint8_t>(out, value);
    case Type::kI8:
      return put_int<int8_t>(out, value);
    case Type::kU16:
      return put_int<uint16_t>(out, value);
    case Type::kI16:
      return put_int<int16_t>(out, value);
    case Type::kU32:
      return put_int<uint32_t>(out, value);
    case Type::kI32:
      return put_int<int32_t>(out, value);
    case Type::kU64:
      return put_int<uint64_t>(out, value);
    case Type::kI64:
      return put_int<int64_t>(out, value);
    case Type::kF32:
      put(out, static_cast<float>(value));
      return {};
    case Type::kF64:
      put(out, static_cast<double>(value));
      return {};
    default:
      return fail(ErrorCode::kInvalidArgument, "expected a value of the field's type, got an integer");
  }
}

Status put_item(std::string& out, Type type, int64_t value) { return put_number(out, type, value); }
Status put_item(std::string& out, Type type, uint64_t value) { return put_number(out, type, value); }
Status put_item(std::string& out, Type type, double value) {
  if (type == Type::kF64) {
    put(out, value);
  } else if (type == Type::kF32) {
    put(out, static_cast<float>(value));
  } else {
    return fail(ErrorCode::kInvalidArgument,
                "expected a value of the field's type, got a number with a fraction");
  }
  return {};
}
Status put_item(std::string& out, Type type, bool value) {
  if (type != Type::kBool)
    return fail(ErrorCode::kInvalidArgument, "expected a value of the field's type, got a boolean");
  put<uint8_t>(out, value ? 1 : 0);
  return {};
}
Status put_item(std::string& out, Type type, const std::string& value) {
  if (type != Type::kString)
    return fail(ErrorCode::kInvalidArgument, "expected a value of the field's type, got a string");
  put_string(out, value);
  return {};
}
template <class T>
Status put_items(std::string& out, Type type, const std::vector<T>& items) {
  put(out, static_cast<uint32_t>(Type::kArray));
  put(out, static_cast<uint32_t>(type));
  put<uint64_t>(out, items.size());
  for (const auto& item : items) TRY(put_item(out, type, static_cast<const T&>(item)));
  return {};
}

struct PutField {
  std::string& out;
  const GgufField& field;
  template <class T>
  Status operator()(const T& value) const {
    if (field.is_array) return fail(ErrorCode::kInvalidArgument, "expected an array");
    put(out, static_cast<uint32_t>(field.type));
    return put_item(out, field.type, value);
  }
  template <class T>
  Status operator()(const std::vector<T>& items) const {
    if (!field.is_array) return fail(ErrorCode::kInvalidArgument, "expected one value, got an array");
    return put_items(out, field.type, items);
  }
};

Result<uint64_t> alignment_of(const std::vector<GgufField>& metadata) {
  for (const GgufField& field : metadata) {
    if (field.key != "general.alignment") continue;
    const uint64_t* given = std::get_if<uint64_t>(&field.value);
    if (given == nullptr || !is_gguf_alignment(*given)) {
      return fail(ErrorCode::kInvalidArgument, "expected general.alignment to be a power of two (uint64)");
    }
    return *given;
  }
  return kGgufAlignment;
}

}  // namespace

Status write_gguf(const Path& path, const std::vector<GgufField>& metadata,
                  const std::vector<GgufOutTensor>& tensors) {
  const uint64_t alignment = TRY(alignment_of(metadata));
  std::string header;
  put<uint32_t>(header, kGgufMagic);
  put<uint32_t>(header, 3);
  put<uint64_t>(header, tensors.size());
  put<uint64_t>(header, metadata.size());
  std::set<std::string> keys, names;
  for (const GgufField& field : metadata) {
    if (!keys.insert(field.key).second)
      return fail(ErrorCode::kInvalidArgument, "key '{}' is given twice", field.key);
    put_string(header, field.key);
    Status put_value = std::visit(PutField{header, field}, field.value);
    if (!put_value) return std::move(put_value).error().at("key '" + field.key + "'");
  }
  uint64_t offset = 0;
  for (const GgufOutTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::kInvalidArgument, "tensor '{}' is given twice", tensor.name);
    Result<uint64_t> bytes = gguf_tensor_bytes(tensor.type, tensor.shape);
    if (!bytes || *bytes != tensor.bytes.size()) {
      return fail(ErrorCode::kInvalidArgument, "expected bytes of the size that type and shape give, got {}",
                  tensor.bytes.size())
          .at("tensor '" + tensor.name + "'");
    }
    put_string(header, tensor.name);
    put(header, static_cast<uint32_t>(tensor.shape.size()));
    for (auto d = tensor.shape.rbegin(); d != tensor.shape.rend(); ++d)
      put(header, static_cast<uint64_t>(*d));
    put(header, static_cast<uint32_t>(tensor.type));
    put(header, offset);
    offset = align_up(offset + *bytes, alignment);
  }
  header.resize(align_up(header.size(), alignment), '\0');
  AtomicFile file = TRY(AtomicFile::create(path));
  TRY(file.write(header));
  for (const GgufOutTensor& tensor : tensors) {
    TRY(file.write(
        std::string_view(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size())));
    TRY(file.write(std::string(align_up(tensor.bytes.size(), alignment) - tensor.bytes.size(), '\0')));
  }
  return file.commit();
}

}  // namespace volant
