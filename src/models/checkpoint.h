// A model on disk, whatever its format: a Hugging Face folder (safetensors)
// or a GGUF file. Tensors are found by their Hugging Face name. Missing and
// extra tensors and wrong shapes are reported by name when it is opened.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "tensor/tensor_view.h"
#include "text/tokenizer.h"

namespace volant {

class Checkpoint {
 public:
  // `path`: a folder with config.json, or a `.gguf` file (also a folder that holds exactly one).
  static Result<Checkpoint> open(const Path& path);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const Path& path() const;
  const ModelConfig& config() const;
  // In Hugging Face layout: rows of q_proj and k_proj in half-rotation order whatever the file's order is.
  Result<TensorView> tensor(const std::string& hugging_face_name) const;
  std::vector<std::string> tensor_names() const;
  Result<std::unique_ptr<Tokenizer>> tokenizer() const;
  // Lets go of what nothing but tokenizer() reads: 11 MB of a vocabulary of 150,000. If it is called once
  // more, it reads the file again.
  void forget_text();
  // The Jinja source; default_chat_template() when the model names none.
  std::string chat_template() const;
  bool has_chat_template() const;
  // Ids that end an answer: generation_config.json, config.json, tokenizer.
  std::vector<int32_t> stop_ids() const;
  // The same with its tokenizer at hand, which need not be loaded again.
  std::vector<int32_t> stop_ids(const Tokenizer& tokenizer) const;
  // Tensors that the adapter stands beside become f32 with it merged.
  Status merge(const Adapter& adapter);
  uint64_t bytes() const;          // of all tensors
  std::string dtype_name() const;  // of most of the bytes: "q8_0"
  // Gives the memory of a tensor's pages of the file back to the system, when they were copied; they can be
  // read again.
  void forget_pages(const std::string& name) const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
