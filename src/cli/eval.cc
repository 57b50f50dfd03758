// `volant eval`: how well a model foresees held-out texts.
#include <cstdio>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "eval/documents.h"
#include "registry/resolve.h"

namespace volant::cli {
namespace {

struct EvalFlags {
  std::string workspace = default_workspace(), model, data, html;
  DocumentOptions documents;
  LanguageEvalOptions eval;
  EngineOptions engine;
  bool json = false;
};

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void add_row(Table& table, const std::string& name, const EvalGroup& g) {
  table.add({name, fmt::format("{:.4f}", g.bits_per_byte.value),
             fmt::format("{:.4f} to {:.4f}", g.bits_per_byte.low, g.bits_per_byte.high),
             percent(g.next_token_accuracy.value), fmt::format("{:.2f}", g.perplexity.value),
             format_count(static_cast<uint64_t>(g.documents)), format_count(static_cast<uint64_t>(g.bytes))});
}

void print_report(const LanguageEvalReport& report) {
  Table table({"language", "bits per byte", "95 %", "next token right", "perplexity", "documents", "bytes"});
  add_row(table, "all", report.all);
  for (const auto& [language, group] : report.by_language) add_row(table, language, group);
  table.print();
  for (const EvalSample& sample : report.samples) {
    print_line(fmt::format("\n> {}\n{}", sample.prompt, sample.continuation));
  }
}

Result<int> eval(const EvalFlags& flags) {
  const Path model = TRY(resolve_model(flags.workspace, flags.model));
  const std::vector<EvalDocument> documents = TRY(read_eval_documents(flags.data, flags.documents));
  const std::unique_ptr<Engine> engine = TRY(Engine::open(model, flags.engine));
  LanguageEvalOptions options = flags.eval;
  Progress progress("evaluate", documents.size(), "documents");
  options.on_progress = [&progress](uint64_t done, uint64_t) { progress.update(done); };
  const LanguageEvalReport report = TRY(evaluate_language_model(*engine, documents, options));
  progress.finish();
  if (!flags.html.empty()) {
    TRY(write_file_atomic(flags.html, to_html(report, Path(flags.model).filename().string() + " on " +
                                                          Path(flags.data).filename().string())));
    std::fprintf(stderr, "Report: %s\n", flags.html.c_str());
  }
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_report(report);
  }
  return 0;
}

}  // namespace

void add_eval(CLI::App& root, Action& action) {
  CLI::App* command = root.add_subcommand("eval", "Score a model on texts it has not seen");
  command->footer(
      "Bits per byte (less is better) do not depend on the tokenizer;\n"
      "intervals are 95 % bootstrap intervals over documents.\n\n"
      "Examples:\n"
      "  volant eval --model ~/models/tiny --data held-out.txt           documents are paragraphs\n"
      "  volant eval --model tiny.gguf --data test.jsonl.zst --json      rows with \"text\" or \"messages\"\n"
      "  volant eval --model production --data news.txt --separator % --html report.html "
      "--prompt \"The city\"");
  const auto flags = std::make_shared<EvalFlags>();
  command->add_option("--model", flags->model, "A Hugging Face folder, a .gguf file, a version or an alias")
      ->required();
  command->add_option("--data", flags->data, "Text or JSON Lines, also .gz or .zst")->required();
  command->add_option("-w,--workspace", flags->workspace, "Folder with volant.toml, for versions and aliases")
      ->capture_default_str();
  command->add_option("--separator", flags->documents.separator,
                      "Text: a line that holds only this ends a document; default: a blank line");
  command->add_option("--text-field", flags->documents.text_field, "JSON Lines: the field with the text")
      ->capture_default_str();
  command->add_option("--limit", flags->documents.limit, "Most documents, taken evenly over the file; 0: all")
      ->capture_default_str();
  command->add_option("--prompt", flags->eval.sample_prompts,
                      "Continue this text and show it; may be given again");
  command->add_option("--sample-tokens", flags->eval.sample_tokens, "Tokens of a continuation")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--bootstrap", flags->eval.bootstrap_samples, "Samples for the intervals")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  command->add_option("--seed", flags->eval.seed, "Seed of the intervals")->capture_default_str();
  command->add_option("--ctx", flags->engine.n_ctx, "Longest window in tokens; default: the model's")
      ->check(CLI::Range(16, 1 << 20));
  command->add_option("--threads", flags->engine.n_threads, "Threads that compute; default: all cores")
      ->check(CLI::Range(0, 1024));
  command->add_option("--html", flags->html, "Write a report page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return eval(*flags); }; });
}

}  // namespace volant::cli
