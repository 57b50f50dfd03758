// What stands around a vocabulary in a Hugging Face folder: tokenizer_config.json, special_tokens_map.json
// and added_tokens.json.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "text/added_tokens.h"

namespace volant {

// What GPT-2's tokenizer begins and ends a text with when no file says otherwise.
inline constexpr const char* kGpt2EndOfText = "<|endoftext|>";

struct TokenizerConfig {
  JsonObject json;  // tokenizer_config.json as it is; written back by save()
  std::string tokenizer_class;
  std::optional<std::string> bos, eos, unk, pad;
  std::optional<bool> add_bos, add_eos, legacy, add_prefix_space;
  std::vector<AddedToken> added;  // added_tokens_decoder, added_tokens.json
};

// A folder without these files gives an empty configuration; a file that is no JSON object is kParse.
Result<TokenizerConfig> load_tokenizer_config(const Path& folder);

// Copies what of a model's folder belongs to its tokenizer: vocabulary, settings, chat template. Files that
// are not there are left out.
Status copy_tokenizer_files(const Path& from, const Path& to);

// The chat template of a model or tokenizer folder, as Transformers finds it: chat_template.jinja, else
// "chat_template" of tokenizer_config.json: a text, or a list of {"name", "template"} of which "default"
// counts. None when there is none. Training, serving and exports all read it here.
Result<std::optional<std::string>> load_chat_template(const Path& folder);

}  // namespace volant
