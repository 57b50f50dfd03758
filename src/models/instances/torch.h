// TorchModel: a model of any family on TorchOps, for training. A plain handle: no torch in this header, and
// the exceptions of libtorch and oneDNN end here.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "ops/batch.h"
#include "ops/torch/embedding_shift.h"
#include "tensor/dtype.h"

namespace volant {

// Threads of training (0: one for each core this process may use) and memory that is kept between steps. Call
// once, first. Gives the number of threads.
int prepare_torch(int n_threads);
// Whether products in bf16 are native on this processor.
bool torch_has_bf16();
// The instruction set of our own loops: "avx512".
std::string torch_isa();
// FLOP/s of a large product on all threads, measured now (about 0.1 s).
Result<double> torch_peak_flops(bool bf16);

struct TorchOptions {
  bool bf16 = false;
  // Of loss_and_gradient() alone: see Regularisers in ops/torch/torch_ops.h.
  float label_smoothing = 0, z_loss = 0, neftune_alpha = 0;
  // Which tensors are trained; none: all. What is frozen has no gradient, and the backward pass ends where
  // nothing below is trained.
  std::function<bool(const TensorSpec&)> trains = {};
  // Trained in place of the tensors, all of which are frozen then.
  std::optional<AdapterSpec> adapter = {};
  // What frozen matrices are kept in: f32 (fastest), bf16, or blocks (q8_0, iq4_nl), unpacked for each
  // product. Embeddings and head are kept in bf16 where the matrices are in fewer bits than f32, and so are
  // matrices whose rows do not divide into blocks.
  DType frozen_dtype = DType::kF32;
  // Adapters (LoRA alone) begin as what comes nearest to what frozen_dtype took from their matrices, in place
  // of nothing (Li et al. 2023, LoftQ, without alternation).
  bool start_from_rounding = false;
  // Matrices that frozen_dtype would harm too much: kept in q8_0. None: no matrix.
  std::function<bool(const TensorSpec&)> in_8_bits = {};
  // Of each layer only its input is kept for the backward pass, which computes the rest again: less memory
  // for about a third more arithmetic. The gradients are the same.
  bool checkpoint_activations = false;
};

// Bytes that a model holds between steps, besides activations and the optimiser's.
struct TorchMemory {
  uint64_t trained = 0;       // numbers of what is trained
  uint64_t frozen = 0;        // of what is not
  uint64_t packed = 0;        // copies in the layouts of products, as far as they are made
  uint64_t gradients = 0;     // of what is trained
  uint64_t n_trained = 0;     // how many numbers are trained
  uint64_t read_at_once = 0;  // of `trained` what is in no layer, and two layers: see on_weights()
};

// What a model made with these options will hold, before it is made; all packed copies counted.
Result<TorchMemory> expected_memory(const ModelConfig& config, const TorchOptions& options);

class TorchModel {
 public:
  struct Parameter {
    TensorSpec spec;
    std::span<float> values, gradient;
    size_t begin = 0;  // of a piece of a parameter: which number of it is the first
  };
  // What of the parameters lies side by side in memory: all of a layer; the last group has those that are in
  // no layer (embeddings, the last norm, the head). Between parameters are a few numbers that stay zero.
  struct Group {
    std::span<float> values, gradient;
  };
  // From log p of the target of each row read out: the loss, and its derivative by each of them.
  using LogProbLoss = std::function<double(std::span<const double> log_p, std::span<double> gradient)>;
  // From the output [R, C] of the rows read out: the loss, and its derivative by each number.
  using OutputLoss = std::function<double(std::span<const float> output, std::span<float> gradient)>;

  // Weights are zeros until they are written with write(), or through parameters() where they are trained.
  static Result<TorchModel> create(const ModelConfig& config, const TorchOptions& options);
  TorchModel(TorchModel&&) noexcept;
  TorchModel& operator=(TorchModel&&) noexcept;
  ~TorchModel();

  const ModelConfig& config() const;
  // What is trained: tensors of the model, or the factors of adapters by PEFT's names.
  std::span<const Parameter> parameters() const;
  // In the order of the forward pass. A layer without parameters has an empty one.
  std::span<const Group> groups() const;
  // What a checkpoint of training keeps: the parameters in that order, then the statistics (batch norm's
  // means and variances), which passes that train update by themselves and which have no gradients. Those of
  // frozen layers stay as they are and are not among them.
  std::span<const Parameter> kept() const;
  // Every tensor of the model, trained or not, without adapters.
  std::span<const TensorSpec> tensors() const;
  // Writes tensor number `i` of those. With start_from_rounding its adapter's start follows from the numbers.
  void write(size_t i, std::span<const float> numbers);
  // Tensor number `i` as the model computes with it: adapters merged, few bits unpacked.
  std::vector<float> merged(size_t i) const;
  // Factors of new adapters: A uniform within 1 / sqrt(inputs), B zero, magnitudes the norms of the rows, so
  // that the model is what it was; with start_from_rounding nearer to what was written than the rounded base.
  // The tensors must have been written.
  void start_adapters(uint64_t seed);
  // The adapters, without a base model's name; none when there are none. With start_from_rounding what was
  // learned since the start, of twice the rank: for the base as it was written, which wants no correction.
  std::optional<Adapter> adapter() const;
  TorchMemory memory() const;
  // From now on products are computed in f32, whatever the options said: to compare with.
  void compute_in_f32();
  // To be called when values were written through parameters().
  void weights_changed();
  void zero_gradients();
  // Before each step: everything random in the passes that follow (noise, dropout) comes from `seed`.
  void begin_step(uint64_t seed);
  // Called in a pass that trains when it has added all it will to the gradients of group number `group` and
  // of the layers after it: the last layer's first, the last group when the pass ends. Layers below which
  // nothing is trained are not called for. `last`: the last pass of expect_passes().
  using OnGradients = std::function<void(size_t group, bool last)>;
  void on_gradients(OnGradients f);
  // Where groups are whole only while they are needed (memory that somebody fills before and frees after).
  struct OnWeights {
    // What follows reads the weights of the group: in the forward pass, or in the backward pass.
    std::function<void(size_t group, bool backward)> need;
    // A layer was read, until it is needed again.
    std::function<void(size_t layer)> done;
  };
  // Called in all passes; the last group is needed from their beginning on. Of models whose layers are
  // segments alone: all next-token decoders.
  void on_weights(OnWeights f);
  bool weights_are_shared() const;
  // Frees the copies for products of a group's weights, which are made again when they are needed.
  void drop_copies(size_t group);
  // Whether the memory of a group goes and comes as a whole, by what follows: where no pages of it can be
  // given back (a GPU's, and libtorch's words on the CPU).
  bool groups_go_whole() const;
  enum class Of { kValues, kGradients };
  // Frees it: spans of it are of no use, data() of the group's is null. Gradients come again, as zeros, with
  // the first pass that adds to them, but are found only by bring_group().
  void drop_group(size_t group, Of what);
  // Zeros in new memory, unless it is there; spans of it are other ones.
  void bring_group(size_t group, Of what);
  // To be called when values of a group that was brought were written for passes.
  void values_came(size_t group);
  // A pass of a language model from which nothing is learned: with shared weights all processes make as many.
  Status idle_pass(bool trains);
  // The step that has begun makes `n` passes that train, and none of several processes makes more than
  // `most`. Where nothing is said no pass is the last.
  void expect_passes(int64_t n, int64_t most);
  int64_t most_passes() const;

  // Language models. Sum over the rows read out of weight * -log p(target).
  Result<double> loss(const Batch& batch, std::span<const int32_t> targets,
                      std::span<const float> weights) const;
  // The same, and adds the gradient of scale * sum to the gradients.
  Result<double> loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                   std::span<const float> weights, float scale);
  // log p(target) of the rows read out.
  Result<std::vector<double>> log_probs(const Batch& batch, std::span<const int32_t> targets) const;
  // The same with the adapters left out: what the frozen base says.
  Result<std::vector<double>> base_log_probs(const Batch& batch, std::span<const int32_t> targets) const;
  // Any loss that is a function of those (preferences, policies): gives it, and adds the gradient of scale
  // times it. One forward and one backward pass, and the head once more.
  Result<double> log_prob_loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                            const LogProbLoss& loss, float scale);

  // A student's loss: alpha * T^2 KL(teacher || student), both softened by the temperature T, and 1 - alpha
  // of the plain loss on the targets (Hinton, Vinyals, Dean 2015). By chunks of rows: never all logits at
  // once.
  struct Distil {
    double temperature = 1, alpha = 0.5;
    int64_t top_k = 0;  // of the teacher's words the best k alone, as if it knew no others; 0: all
  };
  struct DistilLoss {
    double loss = 0, hard = 0, soft = 0;  // sums over the rows read out, times weight; `soft` with T^2
  };
  // Adds the gradient of scale * loss. kInvalidArgument when the vocabularies differ in size.
  Result<DistilLoss> distil_loss_and_gradient(const Batch& batch, const TorchModel& teacher,
                                              std::span<const int32_t> targets,
                                              std::span<const float> weights, const Distil& how, float scale);

  // Any model: what it gives for the rows read out [R, C] (logits, hidden states or scores), and a loss on
  // it.
  Result<std::vector<float>> output(const Batch& batch) const;
  // `shift`: of the embeddings of batch.tokens.
  Result<double> output_loss_and_gradient(const Batch& batch, const OutputLoss& loss, float scale,
                                          const EmbeddingShift& shift = {});
  // The gradient of a loss on the outputs by batch.features, [T, F], or by the (shifted) embeddings of its
  // tokens, [T, width], without dropout and with batch norm's statistics; gradients of weights stay as they
  // are.
  Result<std::vector<float>> input_gradient(const Batch& batch, const OutputLoss& loss,
                                            const EmbeddingShift& shift = {});

 private:
  struct State;
  explicit TorchModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
