// volant.toml: every setting of a workspace with its default. Read strictly: an unknown section or key is an
// error that names file, line and the nearest known key; every number has a range.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/collect.h"
#include "data/prepare.h"
#include "io/file.h"

namespace volant {

using SourceSection = CollectSource;
using PrepareSection = PrepareOptions;

struct TokenizerSection {
  std::string algorithm = "bpe";  // bpe | unigram
  int64_t vocab_size = 8192;
};

struct ModelSection {     // Hugging Face names
  std::string init_from;  // a model's folder or id to go on from; its own config.json says the rest
  std::string architecture = "llama";  // model_type of a decoder family
  int64_t hidden_size = 256, num_hidden_layers = 4, num_attention_heads = 4, num_key_value_heads = 2;
  int64_t intermediate_size = 704, max_position_embeddings = 512;
  bool tie_word_embeddings = true;
  double rope_theta = 10000.0, rms_norm_eps = 1e-5;
  int64_t sliding_window = 0;  // mistral, gemma2, gemma3, phi3; 0: none, or 512 for a gemma
};

struct TrainSection {
  std::string dtype = "auto";  // auto | bf16 | f32
  int64_t max_seq_len = 256, tokens_per_step = 8192, micro_batch_tokens = 4096, steps = 400;
  double max_minutes = 0;  // 0: no limit
  double lr = 1e-3, min_lr_ratio = 0.1, weight_decay = 0.1, beta1 = 0.9, beta2 = 0.95, eps = 1e-8,
         grad_clip = 1.0;
  int64_t warmup_steps = 20, evaluate_every = 100, checkpoint_every = 50, patience = 0, seed = 1,
          n_threads = 0;
  // How it is computed, which changes nothing in the model but the order of sums.
  std::string launch;                   // empty: one process; see parse_launch() in wheel/launch.h
  std::string shard = "none";           // what several processes divide: a word of job_words("shard")
  bool checkpoint_activations = false;  // less memory for more arithmetic
  std::string device = "cpu";           // a word of job_words("device")
};

struct EvaluateSection {
  int64_t max_documents = 400;
  std::vector<std::string> sample_prompts;
};

struct CompressSection {
  std::vector<std::string> formats = {"q8_0"};  // the first one is served
};

struct GateSection {
  double max_bits_per_byte_increase = 0.02;
  int64_t min_documents = 20;
};

struct ServeSection {
  std::string host = "127.0.0.1";
  int64_t port = 8080, n_slots = 8, n_threads = 0, max_queue = 64, max_tokens = 1024;
  std::string kv = "f16";       // numbers of keys and values: f32, f16, q8_0
  int64_t kv_memory_mb = 0;     // of keys and values; 0: what n_slots requests of the whole context take
  bool guess_from_text = true;  // speculative decoding by what stood in the text before
  std::string draft;            // path of a smaller model that guesses next tokens; empty: none
  int64_t max_body_bytes = 1 << 20;
  double request_timeout_seconds = 300, drain_seconds = 30;
};

struct ImproveSection {
  int64_t min_corrections = 1;
  double held_out_share = 0.2, replay_share = 0.95;
  int64_t steps = 70;
  double lr = 2.5e-4, max_minutes = 3;
};

// A workspace of predictions: pictures, tables or texts into classes or numbers. What stands in [data],
// [model], [train] and [evaluate] is read by the task, the model and the trainer.
struct PredictGateSection {
  double max_accuracy_drop =
      0.01;  // of classes: how far the lower 95 % bound of the difference may lie below 0
  double max_error_increase = 0.02;  // of numbers: the same of the mean squared error, relative, above 0
  int64_t min_rows = 30;             // fewer held-out rows prove nothing
  // Further figures of the report none of which may be shown to be worse, corrected for looking at several.
  std::vector<std::string> figures;
};

struct PredictSection {
  std::string kind;                 // [task] kind: a name of tasks/task.h
  std::string problem = "classes";  // classes | binary | number
  JsonObject data, model, train, evaluate;
  PredictGateSection gate;
};

struct WorkspaceConfig {
  std::string name;
  std::optional<PredictSection> predict;  // none: a language model, of the sections that follow
  std::vector<SourceSection> sources;
  PrepareSection prepare;
  TokenizerSection tokenizer;
  ModelSection model;
  TrainSection train;
  EvaluateSection evaluate;
  CompressSection compress;
  GateSection gate;
  ServeSection serve;
  ImproveSection improve;
};

// Reads and checks a volant.toml. kParse "volant.toml:12: ..." for syntax,
// kInvalidArgument for keys and values.
Result<WorkspaceConfig> load_config(const Path& file);
Result<WorkspaceConfig> parse_config(std::string_view toml, const std::string& file_name);
// A commented volant.toml for a new workspace.
std::string config_template(const std::string& name);

// The sections as JSON, for stage keys and reports.
Json to_json(const PredictGateSection& section);
Json to_json(const SourceSection& section);
Json to_json(const PrepareSection& section);
Json to_json(const TokenizerSection& section);
Json to_json(const ModelSection& section);
Json to_json(const TrainSection& section);
Json to_json(const EvaluateSection& section);
Json to_json(const CompressSection& section);
Json to_json(const GateSection& section);
Json to_json(const ImproveSection& section);

}  // namespace volant
