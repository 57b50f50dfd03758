// The start and the end of a run as Hugging Face folders: weights to begin with, and the finished model with
// its tokenizer, written aside and renamed.
#pragma once
#include <functional>

#include "models/instances/torch.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/job.h"

namespace volant {

// The configuration of the model: job.model_config, with the tokenizer's vocabulary size and special ids
// where it names none, or that of the folder it starts from.
// `tokenizer`: null for models of predictions, whose encoder reads.
Result<ModelConfig> starting_config(const TrainJob& job, const Tokenizer* tokenizer);
// Weights of init_from, or random ones:
// normal with initializer_range, smaller for what adds to the residual stream.
Status fill_starting_weights(const TrainJob& job, TorchModel& model);
// The model of a folder as it is: a teacher or a reference, which a run reads and does not train.
Result<TorchModel> open_torch_model(const Path& folder, bool bf16);
// Whether this run's products are in bf16: as the job says and the processor can.
bool trains_in_bf16(const TrainJob& job);
// The template of the model: what the tokenizer's folder names, else the default one.
Result<ChatTemplate> chat_template_of(const TrainJob& job);
// Ids that end an answer: eos, and the turn ends of known templates that the vocabulary has.
std::vector<int32_t> stop_ids(const TrainJob& job, const Tokenizer& tokenizer);
// The adapter alone, in PEFT's layout; names job.init_from as its base.
Status write_adapter_folder(const Path& to, const TrainJob& job, Adapter adapter, const ModelConfig& config);
// Writes the folder `to`: config.json, model.safetensors, and with a tokenizer generation_config.json, its
// files and a template; of embeddings also what sentence-transformers reads (runtime/sentence_files.h).
// `check` sees the folder before it has its name and may add to it; its error leaves none.
Status write_model_folder(const Path& to, const TrainJob& job, const TorchModel& model,
                          const Tokenizer* tokenizer,
                          const std::function<Status(const Path& written)>& check = {});

}  // namespace volant
