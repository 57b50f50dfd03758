// What a model says of each of its tensors when it names them: enough to load, save, initialise, count and
// quantise it without knowing the model.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace volant {

enum class TensorRole {
  kMatrix,     // [out, in], meets every row of a batch; of a convolution [out, in, k, k]
  kHead,       // [n_vocab or n_label, in], meets the rows that are read out
  kEmbedding,  // [n, D], rows are looked up
  kVector,     // norms and biases
  kStatistic,  // of the rows trained on (batch norm): passes that train update it, no optimiser does
};

enum class TensorInit {
  kNormal,        // normal with initializer_range
  kIntoResidual,  // the same over sqrt(2 * layers): what adds to the residual stream
  kOne,
  kZero,
  kUniform,  // within `bound` of zero: PyTorch's start of layers
};

struct TensorSpec {
  std::string name;  // Hugging Face
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::kMatrix;
  TensorInit init = TensorInit::kNormal;
  bool transposed = false;  // Hugging Face's file holds [in, out] (GPT-2's Conv1D); `shape` is [out, in]
  // How often a row meets a matrix: below 1 for an expert, above 1 for a convolution with many positions.
  double active = 1;
  double bound = 0;  // of kUniform

  int64_t count() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
};

inline TensorSpec matrix(std::string name, int64_t n_out, int64_t n_in) {
  return {.name = std::move(name), .shape = {n_out, n_in}};
}
// A matrix whose result is added to the residual stream.
inline TensorSpec residual_matrix(std::string name, int64_t n_out, int64_t n_in) {
  return {.name = std::move(name), .shape = {n_out, n_in}, .init = TensorInit::kIntoResidual};
}
inline TensorSpec embedding(std::string name, int64_t n, int64_t hidden) {
  return {.name = std::move(name), .shape = {n, hidden}, .role = TensorRole::kEmbedding};
}
inline TensorSpec lm_head(std::string name, int64_t n_vocab, int64_t hidden) {
  return {.name = std::move(name), .shape = {n_vocab, hidden}, .role = TensorRole::kHead};
}
inline TensorSpec norm(std::string name, int64_t n) {
  return {.name = std::move(name), .shape = {n}, .role = TensorRole::kVector, .init = TensorInit::kOne};
}
inline TensorSpec bias(std::string name, int64_t n) {
  return {.name = std::move(name), .shape = {n}, .role = TensorRole::kVector, .init = TensorInit::kZero};
}

}  // namespace volant
