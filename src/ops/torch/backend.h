// Who computes the operations of training, and where their numbers lie. No torch in here.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace volant {

enum class TorchBackend {
  kKernels,  // our loops and oneDNN, on the CPU
  kAten,     // libtorch's own operations, on the CPU: what a GPU runs, where it can be tested
  kCuda,     // libtorch's own operations, on the first GPU (CUDA_VISIBLE_DEVICES says which that is)
};

// What a process computes on where nothing else is said: kKernels until it is chosen. VOLANT_TRAIN_ISA=aten
// makes kAten of kKernels.
TorchBackend torch_backend();
void choose_torch_backend(TorchBackend backend);
// Of a job's "device", cpu or cuda. kUnsupported where this libtorch or this machine has no such device.
Result<TorchBackend> backend_of_device(const std::string& device);
// "avx512", "aten", "cuda".
std::string name_of(TorchBackend backend);

namespace torch_ops {

// Zeros in the memory of a backend. The host reads and writes those of a GPU with copy_numbers() alone.
class Numbers {
 public:
  Numbers() = default;
  explicit Numbers(size_t n, TorchBackend where = TorchBackend::kKernels);
  float* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  float* begin() const { return data_; }
  float* end() const { return data_ + size_; }
  float& operator[](size_t i) const { return data_[i]; }

 private:
  std::shared_ptr<void> owner_;
  float* data_ = nullptr;
  size_t size_ = 0;
};

// Between the host and the memory of a backend; as many there as here.
void copy_numbers(TorchBackend from, std::span<const float> there, std::span<float> here);
void copy_numbers(std::span<const float> here, TorchBackend to, std::span<float> there);

}  // namespace torch_ops
}  // namespace volant
