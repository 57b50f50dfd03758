// The volant.toml that `volant init` writes: every section, what it does, and the defaults.
#include "wheel/config.h"

namespace volant {
namespace {

constexpr const char* kTemplate =
    R"toml(# A Volant workspace. `volant run` turns the wheel with these settings; what is commented out shows the default.
# An unknown key is an error, so a typing mistake cannot hide.

[workspace]
name = "{name}"

# Where the text comes from; one block for each source.
[[collect.source]]
name = "notes"
kind = "text"                  # text | markdown | html | csv | jsonl (csv and jsonl also .gz and .zst)
paths = ["data/*.txt"]         # patterns; relative to this folder
# exclude = ["*.bak"]
# separator = "%"              # text: a line that holds only this ends a record; without it a file is a record
# text_field = "text"          # csv, jsonl: the column or field
# charset = ""                 # empty: found out for each file
# licence = ""

[prepare]
# normalize = "nfc"            # nfc | nfkc | none
# min_chars = 20
# max_chars = 20000            # longer documents are cut
languages = []                 # ["en", "zh"]; empty: all
# near_duplicate_threshold = 0.8
# mask_personal_data = true    # e-mail, telephone, IP, Chinese ID number, bank card
# min_quality = 0.3
# validation_share = 0.05
# test_share = 0.05

[tokenizer]
# algorithm = "bpe"            # bpe | unigram
vocab_size = 4096

[model]                        # names as in Hugging Face's config.json
hidden_size = 256
num_hidden_layers = 4
# architecture = "llama"       # gemma2 | gemma3 | gpt2 | llama | mistral | phi3 | qwen2 | qwen3
# num_attention_heads = 4
# num_key_value_heads = 2
# intermediate_size = 704
# max_position_embeddings = 512

[train]
steps = 400
max_minutes = 10               # the learning rate comes down in time on a slow machine too; 0: no limit
# dtype = "auto"               # auto | bf16 | f32
# max_seq_len = 256
# tokens_per_step = 8192
# lr = 1e-3
# warmup_steps = 20
# weight_decay = 0.1
# evaluate_every = 100
# checkpoint_every = 50
# patience = 0                 # stop after this many evaluations without a better one; 0: never
# seed = 1
# launch = "local:2"           # several processes, as `volant train --launch`: local:N | slurm | mpi
# shard = "none"               # what they divide: none | optimizer | gradients | parameters
# checkpoint_activations = false   # less memory for about a third more arithmetic
# device = "cpu"               # cpu | cuda

[evaluate]
# max_documents = 400
sample_prompts = ["The"]

[compress]
formats = ["q8_0"]             # as `volant compress --to`: q8_0, q4_K_M, bf16, ...; the first one is served

[gate]                         # a candidate may cost at most this much on the held-out documents
# max_bits_per_byte_increase = 0.02   # upper bound, 95 % confidence
# min_documents = 20

[serve]
# host = "127.0.0.1"           # another address needs an API key
# port = 8080
# n_slots = 8                  # requests at once
# kv = "f16"                   # keys and values: f32, f16, or q8_0 in half of f16's memory
# draft = ""                   # a smaller model with the same vocabulary, which guesses next tokens
# kv_memory_mb = 0             # for keys and values; 0: what n_slots requests of the whole context take

[improve]                      # `volant improve`: corrections become training rows
# min_corrections = 1
# held_out_share = 0.2         # of the corrected questions, to see whether it learned more than them
# replay_share = 0.95          # of what it reads is old text, against forgetting
# steps = 70                   # more are taken for many corrections, or when too little stuck
# lr = 2.5e-4
)toml";

std::string toml_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}

}  // namespace

std::string config_template(const std::string& name) {
  std::string text = kTemplate;
  const std::string mark = "{name}";
  text.replace(text.find(mark), mark.size(), toml_text(name));
  return text;
}

}  // namespace volant
