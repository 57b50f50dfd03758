// One measurement of training: the core of volant-train (forward, backward, clipping, AdamW) on random
// tokens, whole sequences of the full length. Prints one JSON line. Arguments: family(llama|gpt2) layers
// width heads kv_heads ffn vocabulary sequences length dtype(bf16|f32) threads steps [device(cpu|cuda)]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/random.h"
#include "models/family.h"
#include "train/optimizer.h"

namespace {

using namespace volant;

int usage() {
  std::fprintf(
      stderr,
      "usage: bench_train llama|gpt2 LAYERS WIDTH HEADS KV_HEADS FFN VOCAB SEQUENCES LENGTH bf16|f32 THREADS STEPS [cpu|cuda]\n");
  return 2;
}

struct Tokens {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows, targets;
  std::vector<float> weights;
};

Tokens random_tokens(int64_t sequences, int64_t length, int64_t n_vocab) {
  Random random(1);
  Tokens t;
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t i = 0; i < length; ++i) {
      t.out_rows.push_back(static_cast<int32_t>(t.tokens.size()));
      t.tokens.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(n_vocab))));
      t.pos.push_back(static_cast<int32_t>(i));
      t.targets.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(n_vocab))));
      t.weights.push_back(1);
    }
    t.seq_begin.push_back(static_cast<int32_t>(t.tokens.size()));
  }
  return t;
}

// argv[1..7]: family and shape; head and embedding are one matrix.
ModelConfig model_config(char** argv) {
  const auto number = [&](int i) { return static_cast<int64_t>(std::atoll(argv[i])); };
  ModelConfig config;
  config.num_hidden_layers = number(2);
  config.hidden_size = number(3);
  config.num_attention_heads = number(4);
  config.num_key_value_heads = number(5);
  config.head_dim = config.hidden_size / config.num_attention_heads;
  config.intermediate_size = number(6);
  config.vocab_size = number(7);
  config.tie_word_embeddings = true;
  config.max_position_embeddings = number(9);
  if (std::string_view(argv[1]) == "gpt2") {
    config.family = &kGpt2Family;
    config.architecture = "GPT2LMHeadModel";
    config.own = Gpt2Fields{};
  }
  return config;
}

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 13 && argc != 14) return usage();
  const auto backend = backend_of_device(argc == 14 ? argv[13] : "cpu");
  if (!backend) return std::fprintf(stderr, "%s\n", backend.error().to_string().c_str()), 1;
  choose_torch_backend(*backend);
  const auto number = [&](int i) { return static_cast<int64_t>(std::atoll(argv[i])); };
  const ModelConfig config = model_config(argv);
  const bool bf16 = std::string_view(argv[10]) == "bf16";
  prepare_torch(static_cast<int>(number(11)));
  auto created = TorchModel::create(config, {.bf16 = bf16});
  if (!created) return std::fprintf(stderr, "%s\n", created.error().to_string().c_str()), 1;
  TorchModel& model = *created;
  Random random(2);
  for (const auto& p : model.parameters()) {
    std::vector<float> numbers(p.values.size());
    for (float& x : numbers)
      x = p.spec.shape.size() > 1         ? static_cast<float>(0.02 * random.normal())
          : p.spec.name.ends_with("bias") ? 0.0F
                                          : 1.0F;
    torch_ops::copy_numbers(numbers, torch_backend(), p.values);
  }
  model.weights_changed();
  const Tokens t = random_tokens(number(8), number(9), config.vocab_size);
  const Batch batch{
      .tokens = t.tokens, .pos = t.pos, .seq_begin = t.seq_begin, .kv_slot = {}, .out_rows = t.out_rows};
  const auto rows = static_cast<double>(t.tokens.size());
  const TrainJob job;
  const auto optimiser = make_optimizer(job, model);
  std::vector<double> seconds;
  double loss = 0;
  for (int64_t step = 0; step < number(12) + 2; ++step) {
    const double begin = steady_seconds();
    const auto sum = model.loss_and_gradient(batch, t.targets, t.weights, static_cast<float>(1 / rows));
    if (!sum) return std::fprintf(stderr, "%s\n", sum.error().to_string().c_str()), 1;
    loss = *sum / rows;
    const double norm = gradient_norm(model);
    optimiser->step(model, step, 1e-4, norm > 1 ? 1 / norm : 1);
    if (step >= 2) seconds.push_back(steady_seconds() - begin);  // two steps to warm up
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  std::printf(
      "{\"tokens_per_second\":%.1f,\"seconds\":%.5f,\"best_seconds\":%.5f,\"loss\":%.4f,\"peak_memory_mb\":%.0f,"
      "\"peak_gflops\":%.0f}\n",
      rows / median, median, seconds.front(), loss, peak_memory_mb(),
      torch_peak_flops(bf16).value_or(0) / 1e9);
  return 0;
}
