// NativeModel: a model of any family on NativeOps, for inference: a plain handle without templates.
// One forward pass at a time.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/adapter.h"
#include "models/checkpoint.h"
#include "ops/batch.h"

namespace volant {

struct NativeOptions {
  int n_threads = 0;   // 0: all cores
  int64_t n_slot = 0;  // sequences that the key/value cache holds; 0: no cache
  int64_t n_ctx = 0;   // positions of each
  // In place of slots: pages of 64 positions, which the batches name; 0: none.
  int64_t n_page = 0;
  DType kv_dtype = DType::kF32;     // how the cache stores numbers: kF32, kF16 or kQ8_0
  std::optional<DType> dtype = {};  // matrices are converted to this type when loaded; none: as in the file
};

class NativeModel {
 public:
  // Copies the weights into the kernels' layout; the checkpoint may go afterwards.
  static Result<std::unique_ptr<NativeModel>> load(const Checkpoint& checkpoint,
                                                   const NativeOptions& options);
  // Takes all weights anew, between passes: a model that follows another one's training. `source` gives each
  // tensor in the shape that its spec says. After an error the weights are partly old and partly new.
  using TensorSource = std::function<Result<TensorView>(const TensorSpec&)>;
  Status set_weights(const TensorSource& source);
  // An adapter that sequences may run with, beside the weights; gives its number for Batch::adapter.
  // kUnsupported when it stands beside experts: which rows meet them is not known here; merge such a one.
  Result<int32_t> add_adapter(const Adapter& adapter);
  ~NativeModel();

  const ModelConfig& config() const;
  // What the model gives for the rows read out: logits [R, n_vocab], hidden states [R, D] or scores
  // [R, n_label], as config().output says; valid until the next call. Ids, positions and slots must be in
  // range.
  std::span<const float> output(const Batch& batch);
  // Hidden states of the rows read out, after the last norm and before any head: [R, D]; as output() has it.
  std::span<const float> hidden(const Batch& batch);
  // The same as output() of a language model.
  std::span<const float> logits(const Batch& batch) { return output(batch); }
  // Gives the passes that follow an observer: the name of each matrix and the rows [n, columns] that it is
  // about to multiply. Empty: nobody.
  using InputObserver =
      std::function<void(const std::string& name, std::span<const float> rows, int64_t columns)>;
  void observe_inputs(InputObserver see);
  // Bytes that a page of the cache takes with numbers of `kv_dtype`.
  static int64_t page_bytes(const ModelConfig& config, DType kv_dtype);
  // What stands in page `from` of the cache, to page `to`. Between passes.
  void copy_page(int32_t from, int32_t to);
  // Calls each(0) to each(n - 1) once, on the model's threads at once. Between passes; `each` must not throw.
  void share_out(int64_t n, const std::function<void(int64_t)>& each);
  // While true, the threads wait for the next pass with a short spin instead of sleeping at once.
  void set_busy(bool busy);
  uint64_t weight_bytes() const;
  // Where each weight lies, as the kernels read it.
  std::vector<std::span<const std::byte>> weight_memory() const;
  int n_threads() const;

 private:
  struct State;
  explicit NativeModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
