// `volant eval`: how well a model foresees held-out texts, or answers a suite of questions.
#include <cstdio>
#include <memory>
#include <optional>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/eval_tools.h"
#include "cli/eval_trainings.h"
#include "cli/print.h"
#include "cli/usage_error.h"
#include "eval/documents.h"
#include "eval/robustness/run_robustness.h"
#include "registry/resolve.h"

namespace volant::cli {
namespace {

// Of questions alone, and of texts alone.
const std::vector<std::string> kSuiteFlags = {"--shots",          "--examples",    "--chat",
                                              "--max-tokens",     "--samples",     "--perturb",
                                              "--perturb-rate",   "--unsafe-code", "--refusal-phrases",
                                              "--toxic-phrases",  "--toxic-model", "--toxic-label",
                                              "--toxic-threshold"},
                               kDataFlags = {"--separator", "--text-field", "--prompt", "--sample-tokens"};

struct EvalFlags {
  std::string workspace = default_workspace(), model, data, html, suite, examples, refusals, toxic,
              toxic_model, toxic_label;
  double toxic_threshold = 0.5;
  DocumentOptions documents;
  LanguageEvalOptions eval;
  SuiteOptions tasks;
  std::vector<std::string> perturbations;
  PerturbOptions perturb;
  EngineOptions engine;
  TrainingFlags trainings;
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

Status write_report(const std::string& path, const std::string& html) {
  if (path.empty()) return {};
  TRY(write_file_atomic(path, html));
  std::fprintf(stderr, "Report: %s\n", path.c_str());
  return {};
}

// A model's folder, or a workspace: its production.
Result<ToxicityModel> open_toxicity_model(const EvalFlags& flags) {
  const bool is_workspace = std::filesystem::exists(Path(flags.toxic_model) / "volant.toml");
  const Path folder =
      is_workspace ? TRY(resolve_model(flags.toxic_model, "production")) : Path(flags.toxic_model);
  auto model = ToxicityModel::load(folder, flags.toxic_label, flags.toxic_threshold, flags.engine.n_threads);
  if (!model) return std::move(model).error().at("--toxic-model");
  return model;
}

Result<int> eval_suite(const EvalFlags& flags) {
  const Path model = TRY(resolve_model(flags.workspace, flags.model));
  std::vector<Perturbation> perturbations;
  for (const std::string& name : flags.perturbations) perturbations.push_back(TRY(find_perturbation(name)));
  Suite suite = TRY(load_suite(flags.suite, flags.documents.limit));
  if (!flags.examples.empty()) TRY(add_examples(suite, flags.examples));
  const bool of_safety = !flags.refusals.empty() || !flags.toxic.empty() || !flags.toxic_model.empty();
  if (of_safety && suite.kind != SuiteKind::kSafety)
    return fail(
        ErrorCode::kInvalidArgument,
        "--refusal-phrases, --toxic-phrases and --toxic-model are for suites of safety, '{}' is one of {}",
        suite.name, suite_kind_name(suite.kind));
  SuiteOptions options = flags.tasks;
  std::optional<ToxicityModel> toxicity;
  if (!flags.toxic_model.empty()) {
    toxicity = TRY(open_toxicity_model(flags));
    options.toxicity = &*toxicity;
  }
  if (!flags.refusals.empty()) options.phrases.refusals = TRY(PhraseList::load(flags.refusals));
  if (!flags.toxic.empty()) options.phrases.toxic = TRY(PhraseList::load(flags.toxic));
  const std::unique_ptr<Engine> engine = TRY(Engine::open(model, flags.engine));
  options.seed = flags.eval.seed;
  options.bootstrap_samples = flags.eval.bootstrap_samples;
  Progress progress("evaluate", suite.rows.size() * (perturbations.size() + 1), "rows");
  options.on_progress = [&progress](uint64_t done, uint64_t) { progress.update(done); };
  EvalReport report =
      TRY(perturbations.empty() ? run_suite(*engine, suite, options)
                                : run_robustness(*engine, suite, perturbations, options, flags.perturb));
  progress.finish();
  report.model = Path(flags.model).filename().string();
  report.title = report.model + " on " + suite.name;
  TRY(write_report(flags.html, to_html(report)));
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_eval_report(report);
  }
  return 0;
}

Result<int> eval_documents(const EvalFlags& flags) {
  const Path model = TRY(resolve_model(flags.workspace, flags.model));
  const std::vector<EvalDocument> documents = TRY(read_eval_documents(flags.data, flags.documents));
  const std::unique_ptr<Engine> engine = TRY(Engine::open(model, flags.engine));
  LanguageEvalOptions options = flags.eval;
  Progress progress("evaluate", documents.size(), "documents");
  options.on_progress = [&progress](uint64_t done, uint64_t) { progress.update(done); };
  const LanguageEvalReport report = TRY(evaluate_language_model(*engine, documents, options));
  progress.finish();
  TRY(write_report(flags.html, to_html(report, Path(flags.model).filename().string() + " on " +
                                                   Path(flags.data).filename().string())));
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_report(report);
  }
  return 0;
}

Result<int> eval(const CLI::App& command, const EvalFlags& flags) {
  if (flags.trainings.asked())
    return eval_trainings(command, flags.trainings, flags.workspace, flags.eval.seed, flags.engine.n_threads,
                          flags.html, flags.json);
  TRY(refuse_training_options(command));
  if (flags.model.empty())
    return fail(ErrorCode::kInvalidArgument, "expected --model: what is to be evaluated");
  if (flags.data.empty() == flags.suite.empty())
    return fail(ErrorCode::kInvalidArgument,
                "expected --data (texts to foresee) or --suite (questions to answer), one of the two");
  TRY(flags.suite.empty() ? refuse_flags(command, kSuiteFlags, "--data")
                          : refuse_flags(command, kDataFlags, "--suite"));
  return flags.suite.empty() ? eval_documents(flags) : eval_suite(flags);
}

void add_suite_options(CLI::App& command, EvalFlags& flags) {
  command.add_option(
      "--suite", flags.suite,
      "FORMAT:PATH, a format of mmlu, gsm8k, humaneval, cmrc2018, squad; of your own rows: choice, "
      "number, answer, reading, code, text, safety");
  command
      .add_option("--shots", flags.tasks.shots,
                  "Suite: solved examples shown first; default: 5 of multiple choice, else 0")
      ->check(CLI::Range(0, 64));
  command.add_option("--examples", flags.examples,
                     "Suite: a file of its format to take the solved examples from");
  command.add_flag("--chat", flags.tasks.chat, "Suite: ask through the model's chat template");
  command.add_option("--max-tokens", flags.tasks.max_tokens, "Suite: longest answer; default: by kind")
      ->check(CLI::Range(1, 1 << 16));
  command.add_option("--samples", flags.tasks.samples, "Suite of code: answers to each task")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  command.add_option(
      "--perturb", flags.perturbations,
      "Suite: ask perturbed questions too: typos, upper-case, lower-case, random-case, white-space, "
      "homoglyphs, word-swap, traditional, simplified, option-order, empty, long; may be given again");
  command.add_option("--perturb-rate", flags.perturb.rate, "Suite: share of letters or words that change")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option(
      "--refusal-phrases", flags.refusals,
      "Suite of safety: a file with a phrase on each line that means a refusal; default: common "
      "ones of English and Chinese");
  command.add_option("--toxic-phrases", flags.toxic,
                     "Suite of safety: a file with a phrase on each line that no answer should have");
  command.add_option(
      "--toxic-model", flags.toxic_model,
      "Suite of safety: a classifier of texts that says which answers are toxic: its folder, or a "
      "workspace with one in production");
  CLI::Option* of_model = command.get_option("--toxic-model");
  command
      .add_option("--toxic-label", flags.toxic_label,
                  "Its label that means toxic; default: the second of two")
      ->needs(of_model);
  command
      .add_option("--toxic-threshold", flags.toxic_threshold,
                  "The probability of that label from which an answer is toxic")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(of_model)
      ->capture_default_str();
  command.add_flag("--unsafe-code", flags.tasks.sandbox.allow_without_isolation,
                   "Suite of code: run programs with limits alone where the system permits no isolation");
}

}  // namespace

void add_eval(CLI::App& root, Action& action) {
  CLI::App* command = root.add_subcommand("eval", "Score a model on texts it has not seen, or on questions");
  command->footer(
      "Bits per byte (less is better) do not depend on the tokenizer;\n"
      "intervals are 95 % bootstrap intervals over documents.\n\n"
      "Examples:\n"
      "  volant eval --model ~/models/tiny --data held-out.txt           documents are paragraphs\n"
      "  volant eval --model tiny.gguf --data test.jsonl.zst --json      rows with \"text\" or \"messages\"\n"
      "  volant eval --model production --data news.txt --separator % --html report.html "
      "--prompt \"The city\"\n"
      "  volant eval --model v3 --suite mmlu:~/mmlu --limit 200 --html report.html\n"
      "  volant eval --model v3 --suite number:my-sums.jsonl --chat --json > a.json\n"
      "  volant eval --model v3 --suite safety:prompts.jsonl --chat --toxic-phrases words.txt\n"
      "  volant eval --model v3 --suite safety:prompts.jsonl --chat --toxic-model ~/toxic-or-not\n"
      "  volant eval compare a.json b.json\n"
      "  volant eval contamination --suite gsm8k:test.jsonl train.jsonl.zst\n"
      "  volant eval -w examples/income --cv 5 --parallel 2 --html folds.html\n"
      "  volant eval -w examples/income --learning-curve 0.1,0.25,0.5,1\n"
      "  volant eval -w examples/income --seeds 5");
  const auto flags = std::make_shared<EvalFlags>();
  command->add_option("--model", flags->model, "A Hugging Face folder, a .gguf file, a version or an alias");
  command->add_option("--data", flags->data, "Text or JSON Lines, also .gz or .zst");
  add_suite_options(*command, *flags);
  add_training_options(*command, flags->trainings);
  command->add_option("-w,--workspace", flags->workspace, "Folder with volant.toml, for versions and aliases")
      ->capture_default_str();
  command->add_option("--separator", flags->documents.separator,
                      "Text: a line that holds only this ends a document; default: a blank line");
  command->add_option("--text-field", flags->documents.text_field, "JSON Lines: the field with the text")
      ->capture_default_str();
  command->add_option("--limit", flags->documents.limit, "Most documents or rows, taken evenly; 0: all")
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
  add_eval_tools(*command, action);
  command->callback([command, flags, &action] {
    if (command->get_subcommands().empty()) action = [command, flags] { return eval(*command, *flags); };
  });
}

}  // namespace volant::cli
