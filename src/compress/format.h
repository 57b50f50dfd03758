// The formats that a model is written in: one number type for all matrices, or a mix that gives the matrices
// where rounding costs most more bits. Names as llama.cpp's, so that people find what they know.
//
//   f32, f16, bf16, q8_0                    every matrix
//   q4_0, q4_1, q5_0, q5_1, iq4_nl, q6_K    every matrix; the head at least q6_K
//   q3_K_S, q4_K_S, q5_K_S                  the same with q3_K, q4_K, q5_K
//   q3_K_M, q4_K_M, q5_K_M, q2_K            besides, values (attn_v) and ffn_down get more in some layers or
//   all
//
// The head is `output`, or the token embedding where it serves as one. Rows that the blocks do not divide get
// a type of 32 numbers, then f16. Position and token type embeddings stay f32.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "models/tensor_spec.h"
#include "tensor/dtype.h"

namespace volant {

class ExportFormat {
 public:
  // Every matrix in this type.
  ExportFormat(DType dtype);  // NOLINT(google-explicit-constructor): a number type is a format
  static Result<ExportFormat> from_name(std::string_view name);

  const std::string& name() const { return name_; }
  uint32_t file_type() const { return file_type_; }  // llama.cpp's llama_ftype
  bool quantised() const { return is_quantised(base_); }
  // The type of all matrices, where it is one.
  DType base() const { return base_; }

  struct Choice {
    DType dtype;
    DType wanted;  // another than dtype when the rows did not divide
  };
  // For a tensor with GGUF's name `gguf_name`; `is_head`: it makes the logits.
  Choice choose(const TensorSpec& spec, const std::string& gguf_name, bool is_head, int64_t n_layer) const;

 private:
  ExportFormat() = default;
  std::string name_;
  DType base_ = DType::kF32, head_ = DType::kF32, careful_ = DType::kF32;
  bool careful_everywhere_ = false;
  uint32_t file_type_ = 0;
};

// Names that from_name knows.
const std::vector<std::string>& export_format_names();

}  // namespace volant
