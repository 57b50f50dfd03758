// `volant embed`: texts to vectors, by an encoder.
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/resolve.h"
#include "runtime/embedder.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string model, workspace = default_workspace();
  std::vector<std::string> texts;
  int n_threads = 0, max_tokens = 0;
};

// One line of JSON for each text: the vector, what was read of it, and whether it was cut.
Status embed_and_print(Embedder& embedder, const std::vector<std::string>& texts) {
  const std::vector<Embedding> embeddings = TRY(embedder.embed(texts));
  for (size_t i = 0; i < texts.size(); ++i) {
    const Embedding& embedding = embeddings[i];
    std::printf(
        "%s\n",
        dump_json(JsonObject{{"text", texts[i]},
                             {"tokens", embedding.n_tokens},
                             {"truncated", embedding.truncated},
                             {"embedding", JsonArray(embedding.vector.begin(), embedding.vector.end())}})
            .c_str());
  }
  return {};
}

Result<int> embed(const Flags& flags) {
  const Path path = TRY(resolve_model(flags.workspace, flags.model));
  const std::unique_ptr<Embedder> embedder =
      TRY(Embedder::open(path, {.n_threads = flags.n_threads, .max_tokens = flags.max_tokens}));
  if (!flags.texts.empty()) {
    TRY(embed_and_print(*embedder, flags.texts));
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) TRY(embed_and_print(*embedder, {line}));
  return 0;
}

}  // namespace

void add_embed(CLI::App& root, Action& action) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = root.add_subcommand("embed", "Turn texts into vectors, by an encoder");
  command->add_option("--model", flags->model, "Model folder, .gguf file, or a version of the workspace")
      ->required();
  command->add_option("--workspace", flags->workspace, "Folder with volant.toml, for versions")
      ->capture_default_str();
  command->add_option("--text", flags->texts,
                      "A text; may be given several times; default: each line of the input");
  command->add_option("--max-tokens", flags->max_tokens, "Longer texts are cut; 0: the model's own limit")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", flags->n_threads, "0: all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->footer(
      "Prints one line of JSON for each text: text, tokens, truncated, embedding.\n"
      "Examples:\n"
      "  volant embed --model models/all-MiniLM-L6-v2 --text \"A cat sits\" --text \"A dog runs\"\n"
      "  volant embed --model models/all-MiniLM-L6-v2 < sentences.txt > vectors.jsonl");
  command->callback([flags, &action] { action = [flags] { return embed(*flags); }; });
}

}  // namespace volant::cli
