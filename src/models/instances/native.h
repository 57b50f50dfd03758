// NativeLlama: the Llama of models/llama.h on NativeOps, for inference: a plain handle without templates.
// One forward pass at a time.
#pragma once
#include <memory>
#include <optional>
#include <span>

#include "models/checkpoint.h"
#include "ops/batch.h"

namespace volant {

struct NativeOptions {
  int n_threads = 0;                // 0: all cores
  int64_t n_slot = 0;               // sequences that the key/value cache holds; 0: no cache
  int64_t n_ctx = 0;                // positions of each
  std::optional<DType> dtype = {};  // matrices are converted to this type when loaded; none: as in the file
};

class NativeLlama {
 public:
  // Copies the weights into the kernels' layout; the checkpoint may go afterwards.
  static Result<std::unique_ptr<NativeLlama>> load(const Checkpoint& checkpoint,
                                                   const NativeOptions& options);
  ~NativeLlama();

  const LlamaConfig& config() const;
  // Logits [R, n_vocab] of the rows read out; valid until the next call.
  // Ids, positions and slots must be in range.
  std::span<const float> logits(const Batch& batch);
  // While true, the threads wait for the next pass with a short spin instead of sleeping at once.
  void set_busy(bool busy);
  uint64_t weight_bytes() const;
  int n_threads() const;

 private:
  struct State;
  explicit NativeLlama(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
