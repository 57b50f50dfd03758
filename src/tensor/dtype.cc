#include "tensor/dtype.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "tensor/families.h"
#include "tensor/tensor_view.h"

namespace volant {
namespace {

constexpr std::array<DTypeInfo, kDTypes> kInfo{{
    {"f32", 1, 4, 0, "F32", true},
    {"f16", 1, 2, 1, "F16", true},
    {"bf16", 1, 2, 30, "BF16", true},
    {"q8_0", 32, 34, 8, nullptr, true},
    {"i32", 1, 4, 26, "I32", true},
    {"q4_0", 32, 18, 2, nullptr, true},
    {"q4_1", 32, 20, 3, nullptr, true},
    {"q5_0", 32, 22, 6, nullptr, true},
    {"q5_1", 32, 24, 7, nullptr, true},
    {"q2_K", 256, 84, 10, nullptr, true},
    {"q3_K", 256, 110, 11, nullptr, true},
    {"q4_K", 256, 144, 12, nullptr, true},
    {"q5_K", 256, 176, 13, nullptr, true},
    {"q6_K", 256, 210, 14, nullptr, true},
    {"iq4_nl", 32, 18, 20, nullptr, true},
    {"iq2_xxs", 256, 66, 16, nullptr, false},
}};

std::string join_or(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return text;
}

void blocks_to_row(DType dtype, const void* row, int64_t n, float* out) {
  const DTypeInfo& info = dtype_info(dtype);
  const auto* bytes = static_cast<const uint8_t*>(row);
  Block block;
  for (int64_t at = 0; at < n; at += info.block, bytes += info.block_bytes) {
    read_block(dtype, bytes, block);
    block_to_f32(dtype, block, out + at);
  }
}

void blocks_from_row(DType dtype, const float* row, int64_t n, const float* importance, void* out) {
  const DTypeInfo& info = dtype_info(dtype);
  auto* bytes = static_cast<uint8_t*>(out);
  Block block;
  for (int64_t at = 0; at < n; at += info.block, bytes += info.block_bytes) {
    formats::quantize_block(dtype, row + at, importance == nullptr ? nullptr : importance + at, block);
    write_block(dtype, block, bytes);
  }
}

}  // namespace

const DTypeInfo& dtype_info(DType dtype) { return kInfo[static_cast<size_t>(dtype)]; }

size_t row_bytes(DType dtype, int64_t n) {
  const DTypeInfo& info = dtype_info(dtype);
  CHECK(n >= 0 && n % info.block == 0);
  return static_cast<size_t>(n / info.block) * static_cast<size_t>(info.block_bytes);
}

std::string dtype_names() {
  std::vector<std::string> names;
  for (const DTypeInfo& info : kInfo) names.emplace_back(info.name);
  return join_or(names);
}

Result<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (name == kInfo[i].name) return static_cast<DType>(i);
  }
  return fail(ErrorCode::kInvalidArgument, "expected a number type {}, got '{}'", dtype_names(), name);
}

Result<DType> dtype_from_safetensors(std::string_view word) {
  std::vector<std::string> words;
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (kInfo[i].safetensors == nullptr) continue;
    if (word == kInfo[i].safetensors) return static_cast<DType>(i);
    words.emplace_back(kInfo[i].safetensors);
  }
  return fail(ErrorCode::kUnsupported, "expected a tensor of {}, got '{}'", join_or(words), word);
}

Result<DType> dtype_from_ggml(uint32_t type) {
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (type == kInfo[i].ggml) return static_cast<DType>(i);
  }
  return fail(ErrorCode::kUnsupported, "expected a ggml tensor type {}, got type {}", dtype_names(), type);
}

void to_f32(DType dtype, const void* row, int64_t n, float* out) {
  CHECK(n >= 0 && n % dtype_info(dtype).block == 0);
  switch (dtype) {
    case DType::kF32:
      if (n > 0) std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return formats::f16_to_row(row, n, out);
    case DType::kBF16:
      return formats::bf16_to_row(row, n, out);
    case DType::kI32:
      return formats::i32_to_row(row, n, out);
    case DType::kQ8_0:
      return formats::q8_0_to_row(row, n, out);
    default:
      return blocks_to_row(dtype, row, n, out);
  }
}

void from_f32(DType dtype, const float* row, int64_t n, void* out, const float* importance) {
  CHECK(n >= 0 && n % dtype_info(dtype).block == 0 && dtype_info(dtype).writable);
  switch (dtype) {
    case DType::kF32:
      if (n > 0) std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return formats::f16_from_row(row, n, out);
    case DType::kBF16:
      return formats::bf16_from_row(row, n, out);
    case DType::kI32:
      return formats::i32_from_row(row, n, out);
    case DType::kQ8_0:
      return formats::q8_0_from_row(row, n, out);
    default:
      return blocks_from_row(dtype, row, n, importance, out);
  }
}

std::vector<float> to_f32(const TensorView& view) {
  const int64_t columns = view.columns();
  const int64_t n = view.count();
  CHECK(n >= 0 && view.bytes.size() >= row_bytes(view.dtype, n));
  CHECK(n == 0 || columns % dtype_info(view.dtype).block == 0);
  std::vector<float> out(static_cast<size_t>(n));
  to_f32(view.dtype, view.bytes.data(), n, out.data());
  return out;
}

}  // namespace volant
