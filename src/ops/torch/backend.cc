#include "ops/torch/backend.h"

#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/Context.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "ops/torch/kernels.h"
#include "ops/torch/tensor_at.h"

namespace volant {
namespace {

TorchBackend& chosen() {
  static TorchBackend backend = TorchBackend::kKernels;
  return backend;
}

// Whether a number can be put there.
Status try_device() {
  try {
    at::zeros({1}, torch_ops::aten::options_of(TorchBackend::kCuda));
    return {};
  } catch (const std::exception& e) {
    return fail(ErrorCode::kUnsupported, "'device' is \"cuda\", but this machine's GPU cannot be used: {}",
                std::string_view(e.what()).substr(0, 300));
  }
}

}  // namespace

TorchBackend torch_backend() {
  const char* wish = std::getenv("VOLANT_TRAIN_ISA");
  if (chosen() == TorchBackend::kKernels && wish != nullptr && std::string_view(wish) == "aten")
    return TorchBackend::kAten;
  return chosen();
}

void choose_torch_backend(TorchBackend backend) { chosen() = backend; }

Result<TorchBackend> backend_of_device(const std::string& device) {
  if (device == "cpu") return TorchBackend::kKernels;
  if (device != "cuda")
    return fail(ErrorCode::kInvalidArgument, "'device': expected \"cpu\" or \"cuda\", got '{}'", device);
  if (!at::hasCUDA())
    return fail(
        ErrorCode::kUnsupported,
        "'device' is \"cuda\", but volant-train was built with a libtorch for the CPU alone, or finds no "
        "GPU here; use \"cpu\", or build it with a libtorch for CUDA (-DVOLANT_LIBTORCH=FOLDER)");
  TRY(try_device());
  return TorchBackend::kCuda;
}

std::string name_of(TorchBackend backend) {
  if (backend == TorchBackend::kKernels) return torch_ops::kernels().isa;
  return backend == TorchBackend::kAten ? "aten" : "cuda";
}

namespace torch_ops {

at::Tensor tensor_at(TorchBackend where, std::span<const float> numbers) {
  return at::from_blob(const_cast<float*>(numbers.data()), {static_cast<int64_t>(numbers.size())},
                       aten::options_of(where));
}

Numbers::Numbers(size_t n, TorchBackend where) : size_(n) {
  if (n == 0) return;
  if (where != TorchBackend::kCuda) {
    const auto numbers = std::make_shared<float[]>(n);
    data_ = numbers.get();
    owner_ = numbers;
    return;
  }
  const auto tensor = std::make_shared<at::Tensor>(
      at::zeros({static_cast<int64_t>(n)}, aten::options_of(TorchBackend::kCuda)));
  data_ = tensor->data_ptr<float>();
  owner_ = tensor;
}

void copy_numbers(TorchBackend from, std::span<const float> there, std::span<float> here) {
  if (from != TorchBackend::kCuda) return (void)std::ranges::copy(there, here.begin());
  if (!there.empty()) tensor_at(TorchBackend::kAten, here).copy_(tensor_at(from, there));
}

void copy_numbers(std::span<const float> here, TorchBackend to, std::span<float> there) {
  if (to != TorchBackend::kCuda) return (void)std::ranges::copy(here, there.begin());
  if (!here.empty()) tensor_at(to, there).copy_(tensor_at(TorchBackend::kAten, here));
}

}  // namespace torch_ops
}  // namespace volant
