// Memory of activations. Every step asks for the same sizes again: blocks are
// kept by size and handed out again, on huge pages, instead of being returned
// to the system and faulted in anew (a third of the time of small models).
#pragma once
#include <cstddef>

namespace volant::torch_ops {
// From now on libtorch's CPU tensors take their memory here. Once per process; later calls do nothing.
void use_block_cache();
// Zeros in pages of their own, which can go back to the system while their addresses stay.
class Pages {
 public:
  explicit Pages(size_t bytes);  // std::bad_alloc
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();
  float* floats() const { return static_cast<float*>(data_); }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Numbers of Pages that are zeros from now on; the pages that they fill go back to the system.
void forget(float* begin, size_t count);

}  // namespace volant::torch_ops
