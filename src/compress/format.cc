#include "compress/format.h"

#include "base/nearest.h"

namespace volant {
namespace {

using enum DType;

struct Row {
  const char* name;
  DType base, head, careful;
  bool careful_everywhere;
  uint32_t file_type;
};
constexpr Row kFormats[] = {
    {"f32", kF32, kF32, kF32, false, 0},        {"f16", kF16, kF16, kF16, false, 1},
    {"bf16", kBF16, kBF16, kBF16, false, 32},   {"q8_0", kQ8_0, kQ8_0, kQ8_0, false, 7},
    {"q6_K", kQ6_K, kQ6_K, kQ6_K, false, 18},   {"q5_K_M", kQ5_K, kQ6_K, kQ6_K, false, 17},
    {"q5_K_S", kQ5_K, kQ6_K, kQ5_K, false, 16}, {"q5_1", kQ5_1, kQ6_K, kQ5_1, false, 9},
    {"q5_0", kQ5_0, kQ6_K, kQ5_0, false, 8},    {"q4_K_M", kQ4_K, kQ6_K, kQ6_K, false, 15},
    {"q4_K_S", kQ4_K, kQ6_K, kQ4_K, false, 14}, {"q4_1", kQ4_1, kQ6_K, kQ4_1, false, 3},
    {"q4_0", kQ4_0, kQ6_K, kQ4_0, false, 2},    {"iq4_nl", kIQ4_NL, kQ6_K, kIQ4_NL, false, 25},
    {"q3_K_M", kQ3_K, kQ6_K, kQ4_K, true, 12},  {"q3_K_S", kQ3_K, kQ6_K, kQ3_K, false, 11},
    {"q2_K", kQ2_K, kQ6_K, kQ3_K, true, 10},
};

// For rows that 256 does not divide: a type of 32 numbers with no fewer bits.
DType in_blocks_of_32(DType dtype) {
  switch (dtype) {
    case kQ2_K:
    case kQ3_K:
      return kIQ4_NL;
    case kQ4_K:
      return kQ5_0;
    case kQ5_K:
      return kQ5_1;
    case kQ6_K:
      return kQ8_0;
    default:
      return dtype;
  }
}

// The number in "blk.12.attn_v.weight"; -1 when the tensor is of no layer.
int64_t layer_of(const std::string& gguf_name) {
  if (!gguf_name.starts_with("blk.")) return -1;
  return std::atoll(gguf_name.c_str() + 4);
}

// The first and last eighth of the layers and every third between: errors there are the dearest, and those of
// neighbours add up.
bool is_careful_layer(int64_t layer, int64_t n_layer) {
  const int64_t eighth = n_layer / 8;
  return layer < eighth || layer >= n_layer - eighth || (layer - eighth) % 3 == 2;
}

}  // namespace

const std::vector<std::string>& export_format_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Row& row : kFormats) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

Result<ExportFormat> ExportFormat::from_name(std::string_view name) {
  for (const Row& row : kFormats) {
    if (name != row.name) continue;
    ExportFormat format;
    format.name_ = row.name;
    format.base_ = row.base;
    format.head_ = row.head;
    format.careful_ = row.careful;
    format.careful_everywhere_ = row.careful_everywhere;
    format.file_type_ = row.file_type;
    return format;
  }
  std::string known;
  for (const std::string& each : export_format_names()) known += (known.empty() ? "" : ", ") + each;
  return fail(ErrorCode::kInvalidArgument, "expected a format of {}, got '{}'{}", known, name,
              did_you_mean(std::string(name), export_format_names()));
}

ExportFormat::ExportFormat(DType dtype)
    : name_(dtype_info(dtype).name), base_(dtype), head_(dtype), careful_(dtype) {
  for (const Row& row : kFormats) {
    if (row.base == dtype) file_type_ = row.file_type;
  }
}

ExportFormat::Choice ExportFormat::choose(const TensorSpec& spec, const std::string& gguf_name, bool is_head,
                                          int64_t n_layer) const {
  const int64_t columns = spec.shape.back();
  if (spec.role == TensorRole::kVector) return {kF32, kF32};
  if (quantised() && spec.role == TensorRole::kEmbedding && !is_head && gguf_name != "token_embd.weight") {
    return {kF32, kF32};
  }
  const bool careful = (gguf_name.ends_with("attn_v.weight") || gguf_name.ends_with("ffn_down.weight")) &&
                       (careful_everywhere_ || is_careful_layer(layer_of(gguf_name), n_layer));
  const DType wanted = is_head ? head_ : careful ? careful_ : base_;
  DType dtype = wanted;
  if (columns % dtype_info(dtype).block != 0) dtype = in_blocks_of_32(dtype);
  if (columns % dtype_info(dtype).block != 0) dtype = kF16;
  return {dtype, wanted};
}

}  // namespace volant
