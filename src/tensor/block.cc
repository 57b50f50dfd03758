#include "tensor/block.h"

#include "tensor/families.h"

namespace volant {
namespace {

enum class Family { k32, kK, kTable };

Family family(DType dtype) {
  if (block_shape(dtype).values != nullptr) return Family::kTable;
  return block_shape(dtype).has_scales ? Family::kK : Family::k32;
}

}  // namespace

void read_block(DType dtype, const void* bytes, Block& block) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  switch (family(dtype)) {
    case Family::k32:
      return formats::read_block_32(dtype, from, block);
    case Family::kK:
      return formats::read_block_k(dtype, from, block);
    case Family::kTable:
      return formats::read_block_iq(dtype, from, block);
  }
}

void write_block(DType dtype, const Block& block, void* bytes) {
  auto* to = static_cast<uint8_t*>(bytes);
  switch (family(dtype)) {
    case Family::k32:
      return formats::write_block_32(dtype, block, to);
    case Family::kK:
      return formats::write_block_k(dtype, block, to);
    case Family::kTable:
      return formats::write_block_iq(dtype, block, to);
  }
}

void block_to_f32(DType dtype, const Block& block, float* out) {
  const BlockShape shape = block_shape(dtype);
  const float scale = f16_to_f32(block.scale), min = shape.has_min ? f16_to_f32(block.min) : 0.0F;
  for (int s = 0; s < dtype_info(dtype).block / shape.sub; ++s) {
    const float step = scale * static_cast<float>(block.scales[s]) * shape.factor;
    const float less = min * static_cast<float>(block.mins[s]);
    const uint8_t* codes = block.codes + s * shape.sub;
    float* to = out + s * shape.sub;
    if (shape.values != nullptr) {
      for (int i = 0; i < shape.sub; ++i) to[i] = step * static_cast<float>(shape.values[codes[i]]);
    } else if (shape.has_min) {
      for (int i = 0; i < shape.sub; ++i) to[i] = step * static_cast<float>(codes[i]) - less;
    } else {
      for (int i = 0; i < shape.sub; ++i) to[i] = step * static_cast<float>(codes[i] - shape.offset);
    }
  }
}

}  // namespace volant
