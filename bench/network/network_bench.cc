// Networks for digits in batches of random pictures: forward and backward of training, and prediction by the
// native model, each beside the same layers as eager libtorch computes them (PyTorch's own operations and
// autograd) in the same process. Prints one JSON line. Arguments: plain (conv 32 of 3x3, max pool 2x2, dense
// 128) or deep (conv 32, conv 32, max pool, conv 64, max pool, dense 128), batch size, threads, repeats.
#include "ops/torch/tensor.h"
// Above it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "io/safetensors.h"
#include "models/instances/native.h"
#include "models/instances/torch.h"

namespace {

using namespace volant;

const char* const kPlain =
    R"({"model_type": "network", "input_shape": [1, 28, 28], "num_labels": 10, "layers": [
  {"type": "conv", "channels": 32, "kernel": 3}, {"type": "relu"}, {"type": "max_pool", "size": 2},
  {"type": "dense", "units": 128}, {"type": "relu"}]})";
const char* const kDeep =
    R"({"model_type": "network", "input_shape": [1, 28, 28], "num_labels": 10, "layers": [
  {"type": "conv", "channels": 32, "kernel": 3}, {"type": "relu"},
  {"type": "conv", "channels": 32, "kernel": 3}, {"type": "relu"}, {"type": "max_pool", "size": 2},
  {"type": "conv", "channels": 64, "kernel": 3}, {"type": "relu"}, {"type": "max_pool", "size": 2},
  {"type": "dense", "units": 128}, {"type": "relu"}]})";

// Median seconds of a call, two calls to warm up.
double median_seconds(int repeats, const std::function<void()>& call) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats + 2; ++i) {
    const double begin = steady_seconds();
    call();
    if (i >= 2) seconds.push_back(steady_seconds() - begin);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

// Mean cross-entropy and its gradient by the outputs [rows, 10].
double cross_entropy(std::span<const float> y, const std::vector<int64_t>& labels,
                     std::span<float> gradient) {
  const size_t n = y.size() / labels.size();
  double sum = 0;
  for (size_t r = 0; r < labels.size(); ++r) {
    const float* row = y.data() + r * n;
    const float most = *std::max_element(row, row + n);
    double total = 0;
    for (size_t i = 0; i < n; ++i) total += std::exp(static_cast<double>(row[i] - most));
    for (size_t i = 0; i < n; ++i) {
      const double p = std::exp(static_cast<double>(row[i] - most)) / total;
      const bool hit = static_cast<int64_t>(i) == labels[r];
      if (hit) sum -= std::log(p);
      gradient[r * n + i] = static_cast<float>((p - (hit ? 1 : 0)) / static_cast<double>(labels.size()));
    }
  }
  return sum / static_cast<double>(labels.size());
}

// A folder that the native model loads.
Path write_model(const ModelConfig& config, const std::map<std::string, std::vector<float>>& numbers) {
  const Path folder = std::filesystem::temp_directory_path() / "volant-bench-network";
  std::filesystem::create_directories(folder);
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& spec : tensor_specs(config))
    entries[spec.name] = {"F32", spec.shape, std::as_bytes(std::span<const float>(numbers.at(spec.name)))};
  CHECK(write_safetensors(folder / "model.safetensors", entries).has_value());
  CHECK(write_file_atomic(folder / "config.json", dump_json(config.to_json())).has_value());
  return folder;
}

struct Peer {
  std::vector<NetworkLayer> layers;
  std::vector<at::Tensor> w;

  at::Tensor output(at::Tensor x) const {
    size_t next = 0;
    for (const NetworkLayer& layer : layers) {
      if (layer.kind == NetworkLayer::Kind::kRelu) x = x.relu();
      if (layer.kind == NetworkLayer::Kind::kMaxPool) x = at::max_pool2d(x, {2, 2});
      if (layer.kind == NetworkLayer::Kind::kConv) x = at::conv2d(x, w[next], w[next + 1]);
      if (layer.kind == NetworkLayer::Kind::kDense) x = at::linear(x.flatten(1), w[next], w[next + 1]);
      if (layer.kind == NetworkLayer::Kind::kConv || layer.kind == NetworkLayer::Kind::kDense) next += 2;
    }
    return at::linear(x, w[next], w[next + 1]);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: bench_network plain|deep BATCH THREADS REPEATS\n"), 2;
  const int batch_size = std::atoi(argv[2]), threads = std::atoi(argv[3]), repeats = std::atoi(argv[4]);
  prepare_torch(threads);
  const ModelConfig config =
      ModelConfig::from_json(parse_json(std::string_view(argv[1]) == "deep" ? kDeep : kPlain).value())
          .value();
  TorchModel model = TorchModel::create(config, {}).value();
  Random random(1);
  Peer peer{std::get<NetworkFields>(config.own).layers, {}};
  std::map<std::string, std::vector<float>> numbers;
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    std::vector<float>& own = numbers[spec.name];
    own.resize(static_cast<size_t>(spec.count()));
    for (float& x : own) x = static_cast<float>((2 * random.uniform() - 1) * spec.bound);
    model.write(i, own);
    at::Tensor w = at::empty(spec.shape, at::kFloat);
    std::copy(own.begin(), own.end(), w.data_ptr<float>());
    peer.w.push_back(w.set_requires_grad(true));
  }
  std::vector<float> pictures(static_cast<size_t>(batch_size) * 784);
  for (float& x : pictures) x = static_cast<float>(random.uniform());
  std::vector<int64_t> labels(static_cast<size_t>(batch_size));
  for (int64_t& l : labels) l = static_cast<int64_t>(random.below(10));
  std::vector<int32_t> rows(labels.size()), begins(labels.size() + 1);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i);
  for (size_t i = 0; i < begins.size(); ++i) begins[i] = static_cast<int32_t>(i);
  const Batch batch{.tokens = {},
                    .pos = {},
                    .seq_begin = begins,
                    .kv_slot = {},
                    .out_rows = rows,
                    .features = pictures,
                    .feature_columns = 784};
  at::Tensor x = at::empty({batch_size, 1, 28, 28}, at::kFloat), y = at::empty({batch_size}, at::kLong);
  std::copy(pictures.begin(), pictures.end(), x.data_ptr<float>());
  std::copy(labels.begin(), labels.end(), y.data_ptr<int64_t>());

  double loss = 0, peer_loss = 0;
  const double train = median_seconds(repeats, [&] {
    model.begin_step(1);
    model.zero_gradients();
    loss =
        model
            .output_loss_and_gradient(
                batch,
                [&](std::span<const float> out, std::span<float> g) { return cross_entropy(out, labels, g); },
                1)
            .value();
    model.weights_changed();
  });
  const double peer_train = median_seconds(repeats, [&] {
    for (at::Tensor& w : peer.w)
      if (w.grad().defined()) w.mutable_grad().zero_();
    const at::Tensor l = at::cross_entropy_loss(peer.output(x), y);
    l.backward();
    peer_loss = l.item<double>();
  });
  const auto native =
      NativeModel::load(Checkpoint::open(write_model(config, numbers)).value(), {.n_threads = threads})
          .value();
  float first = 0;
  const double predict = median_seconds(repeats, [&] { first = native->output(batch)[0]; });
  const at::NoGradGuard no_grad;
  float peer_first = 0;
  const double peer_predict =
      median_seconds(repeats, [&] { peer_first = peer.output(x).data_ptr<float>()[0]; });
  std::printf(
      "{\"network\":\"%s\",\"batch\":%d,\"threads\":%d,\"train_seconds\":%.6f,\"peer_train_seconds\":%.6f,\"predict_seconds\":%.6f,"
      "\"peer_predict_seconds\":%.6f,\"loss\":%.6f,\"peer_loss\":%.6f,\"output\":%.6f,\"peer_output\":%.6f}\n",
      argv[1], batch_size, threads, train, peer_train, predict, peer_predict, loss, peer_loss,
      static_cast<double>(first), static_cast<double>(peer_first));
  return 0;
}
