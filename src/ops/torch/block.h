// Block: the numbers of many tensors in one piece of memory, which can go and come again while the tensors
// that view it stay (as the flat parameters of FSDP, Zhao et al. 2023). What it is made of is the backend's:
//   the kernels         pages (memory.h), whose parts go back with forget() while their addresses stay
//   libtorch's words    memory of libtorch's allocator, which goes as a whole: on a GPU in the order of what
//                       was asked for there, without waiting for it
#pragma once
#include <span>

#include "ops/torch/backend.h"
#include "ops/torch/memory.h"
#include "ops/torch/tensor.h"

namespace volant::torch_ops {

class Block {
 public:
  Block(size_t n, TorchBackend where);  // zeros
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // [n], f32; views of it are f32 tensors at their places.
  const at::Tensor& all() const { return all_; }
  // Of no use while it is gone: its memory may be another's.
  std::span<float> numbers() const;
  bool here() const { return here_; }
  // Not of the kernels'. Until make() nobody reads the tensors.
  void free();
  // Zeros in new memory, where it had gone.
  void make();

 private:
  TorchBackend where_;
  Pages pages_;
  at::Tensor all_;
  bool here_ = true;
};

// Frees the memory of a tensor of libtorch's allocator and of all that view it, and takes new memory for
// `bytes` of them, of any content. Views and what the graph keeps of them see the new memory.
void free_memory(const at::Tensor& of);
void take_memory(const at::Tensor& of, size_t bytes);

}  // namespace volant::torch_ops
