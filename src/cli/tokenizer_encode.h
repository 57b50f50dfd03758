// `volant tokenizer encode` and `decode`: text to ids and back.
#pragma once
#include <memory>

#include "cli/commands.h"
#include "text/tokenizer.h"

namespace volant::cli {

// The tokenizer of a model folder, a .gguf or .tiktoken file, or a version of the workspace.
Result<std::unique_ptr<Tokenizer>> open_model_tokenizer(const std::string& model,
                                                        const std::string& workspace);
// --model and --workspace.
void add_tokenizer_options(CLI::App& command, std::string& model, std::string& workspace);

void add_tokenizer_encode(CLI::App& tokenizer, Action& action);
void add_tokenizer_decode(CLI::App& tokenizer, Action& action);

}  // namespace volant::cli
