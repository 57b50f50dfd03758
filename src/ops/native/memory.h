// Memory of the native backend: big zeroed regions from the operating system, and a pool of activation
// buffers that are used again from step to step, so that a token costs no allocation.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace volant {

// Zeroed pages, aligned to 64 bytes and more, that become real memory when first touched.
class Pages {
 public:
  Pages() = default;
  // Empty when the system has no such amount to give.
  // `big`: in large pages, for what is read from end to end.
  explicit Pages(size_t bytes, bool big = false);
  ~Pages();
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Buffers in sizes of powers of two. Not thread safe: one forward pass at a time. Outlives its buffers.
class BufferPool {
 public:
  // A piece of memory, 64-byte aligned, back in the pool when it goes.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(BufferPool* pool, int size_class, std::byte* data)
        : pool_(pool), size_class_(size_class), data_(data) {}
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(size_class_, other.size_class_);
      std::swap(data_, other.data_);
      return *this;
    }
    ~Buffer() {
      if (pool_ != nullptr) pool_->free_[static_cast<size_t>(size_class_)].push_back(data_);
    }
    template <class T>
    T* as() const {
      return reinterpret_cast<T*>(data_);
    }

   private:
    BufferPool* pool_ = nullptr;
    int size_class_ = 0;
    std::byte* data_ = nullptr;
  };

  // At least `bytes`, contents unspecified.
  Buffer take(size_t bytes);
  // Bytes that were ever taken from the system.
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::array<std::vector<std::byte*>, 48> free_;
  std::vector<std::unique_ptr<std::byte, Free>> owned_;
  size_t bytes_ = 0;
};

}  // namespace volant
