// Memory of the native backend: big zeroed regions from the operating system, weights side by side in them,
// and a pool of activation buffers that are used again from step to step, so that a token costs no
// allocation.
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
  // `big`: in large pages and aligned to them, for what is read from end to end.
  explicit Pages(size_t bytes, bool big = false);
  ~Pages();
  Pages(Pages&& other) noexcept
      : mapped_(std::exchange(other.mapped_, nullptr)),
        mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(mapped_, other.mapped_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Weights side by side in a few regions of large pages: a matrix of its own would lie in small ones for the
// most part, and large pages save most of the address translation. Not thread safe.
class Shelf {
 public:
  // Zeroed, aligned to 64 bytes; its region goes with the last piece of it.
  class Piece {
   public:
    Piece() = default;
    Piece(std::shared_ptr<const Pages> region, std::byte* data, size_t bytes)
        : region_(std::move(region)), data_(data), bytes_(bytes) {}
    std::byte* data() const { return data_; }
    size_t bytes() const { return bytes_; }

   private:
    std::shared_ptr<const Pages> region_;
    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
  };
  // Empty when the system has no such amount to give.
  Piece take(size_t bytes);
  // On no shelf.
  static Piece alone(size_t bytes);

 private:
  static constexpr size_t kRegion = size_t{512} << 20;  // at least, of addresses; memory when it is written
  std::shared_ptr<const Pages> region_;                 // that still has room
  size_t used_ = 0;
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
      if (pool_ != nullptr) pool_->give_back(size_class_, data_);
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
  // From now on what goes is not taken again until release(): work that was put off still uses it.
  void hold() { holds_ = true; }
  void release();
  // Bytes that were ever taken from the system.
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  struct Held {
    int size_class;
    std::byte* data;
  };
  void give_back(int size_class, std::byte* data) {
    if (holds_) {
      held_.push_back({size_class, data});
    } else {
      free_[static_cast<size_t>(size_class)].push_back(data);
    }
  }
  std::array<std::vector<std::byte*>, 48> free_;
  std::vector<Held> held_;
  bool holds_ = false;
  std::vector<std::unique_ptr<std::byte, Free>> owned_;
  size_t bytes_ = 0;
};

}  // namespace volant
