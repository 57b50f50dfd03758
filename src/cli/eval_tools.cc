#include "cli/eval_tools.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/progress.h"
#include "base/stop.h"
#include "cli/print.h"
#include "eval/documents.h"
#include "eval/fairness/fairness_report.h"
#include "eval/report/compare.h"
#include "eval/report/html.h"
#include "eval/report/prediction_file.h"
#include "eval/suites/contamination.h"
#include "eval/suites/judge.h"
#include "registry/gate.h"

namespace volant::cli {
namespace {

void print_figures(const std::string& name, int64_t rows, const std::vector<Figure>& figures, Table& table) {
  for (const Figure& figure : figures) {
    const NumberStyle style = style_of_figure(figure);
    table.add({name, figure_title(figure.name), format_number(figure.estimate.value, style),
               format_interval(figure.estimate, style),
               format_count(static_cast<uint64_t>(figure.rows > 0 ? figure.rows : rows))});
  }
}

void print_sections(const EvalReport& report) {
  for (const ReportSection& section : report.sections) {
    print_line("\n" + section.title);
    Table table(section.heading);
    for (const auto& row : section.rows) table.add(row);
    table.print();
  }
}

Status write_page(const std::string& path, const EvalReport& report) {
  if (path.empty()) return {};
  TRY(write_file_atomic(path, to_html(report)));
  std::fprintf(stderr, "Report: %s\n", path.c_str());
  return {};
}

constexpr size_t kShownExamples = 10;

struct CompareFlags {
  std::string first, second, html;
  bool json = false, gate = false;
};

// What a pipeline goes by: an error when the gate refuses.
Result<int> pass_gate(const Comparison& comparison) {
  const GateReport gate = compare_evaluations(comparison);
  for (const std::string& reason : gate.reasons) std::fprintf(stderr, "%s\n", reason.c_str());
  if (!gate.passed) return fail(ErrorCode::kRefused, "the second model is worse in a figure");
  return 0;
}

Result<EvalReport> read_report(const std::string& path) {
  Result<Json> json = parse_json(TRY(read_file(path)));
  if (!json) return std::move(json).error().at(path);
  Result<EvalReport> report = report_from_json(*json);
  if (!report) return std::move(report).error().at(path);
  if (report->title.empty()) report->title = Path(path).stem().string();
  return report;
}

Result<int> compare(const CompareFlags& flags) {
  const Comparison comparison =
      TRY(compare_reports(TRY(read_report(flags.first)), TRY(read_report(flags.second))));
  if (!flags.html.empty()) {
    TRY(write_file_atomic(flags.html, to_html(comparison)));
    std::fprintf(stderr, "Report: %s\n", flags.html.c_str());
  }
  if (flags.json) {
    print_json(to_json(comparison));
    return flags.gate ? pass_gate(comparison) : 0;
  }
  Table table({"figure", "first", "second", "difference", "95 %", "p, corrected", "test", "second is"});
  for (const FigureComparison& figure : comparison.figures) {
    const NumberStyle style = style_of_figure({figure.name, figure.first, figure.higher_is_better});
    table.add({figure_title(figure.name), format_number(figure.first.value, style),
               format_number(figure.second.value, style), format_number(figure.difference.value, style),
               format_interval(figure.difference, style), fmt::format("{:.3f}", figure.adjusted_p),
               tests_of(figure), verdict_name(figure.verdict)});
  }
  table.print();
  if (const auto settings = differing_settings(comparison); !settings.empty()) {
    print_line("\nSettings that differ");
    Table differing({"setting", "first", "second"});
    for (const auto& row : settings) differing.add(row);
    differing.print();
  }
  return flags.gate ? pass_gate(comparison) : 0;
}

struct ContaminationFlags {
  std::string suite;
  std::vector<std::string> files;
  DocumentOptions documents;
  ContaminationOptions options;
  std::string html;
  bool json = false;
};

Result<int> contamination(const ContaminationFlags& flags) {
  ContaminationCheck check = TRY(ContaminationCheck::of(TRY(load_suite(flags.suite)), flags.options));
  Progress progress("search", flags.files.size(), "files");
  uint64_t done = 0;
  for (const std::string& file : flags.files) {
    const std::vector<EvalDocument> documents = TRY(read_eval_documents(file, flags.documents));
    for (size_t i = 0; i < documents.size(); ++i) {
      if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped in '{}'", file);
      check.add(documents[i].text, fmt::format("{}, document {}", file, i + 1));
    }
    progress.update(++done);
  }
  progress.finish();
  const ContaminationReport report = TRY(check.report());
  TRY(write_page(flags.html, page_of(report, flags.suite)));
  if (flags.json) {
    print_json(to_json(report));
    return 0;
  }
  const NumberStyle share{2, 100, " %"};
  print_line(fmt::format("{} of {} rows share a run with the training texts: {} (95 %: {})", report.hit,
                         report.rows - report.too_short, format_number(report.share.value, share),
                         format_interval(report.share, share)));
  print_line(fmt::format("{} of {} texts hold one; {} rows are too short to tell", report.training_texts_hit,
                         report.training_texts, report.too_short));
  for (size_t i = 0; i < std::min(report.examples.size(), kShownExamples); ++i) {
    const ContaminatedRow& row = report.examples[i];
    print_line(fmt::format("  {} in {}: {}", row.id, row.source, one_line(row.matched, 100)));
  }
  return 0;
}

struct JudgeFlags {
  std::string data, html, key_variable = "OPENAI_API_KEY";
  JudgeOptions options;
  bool json = false;
};

Result<int> run_judge(const JudgeFlags& flags) {
  const std::vector<JudgeRow> rows = TRY(read_judge_rows(flags.data));
  JudgeOptions options = flags.options;
  if (const char* key = std::getenv(flags.key_variable.c_str()); key != nullptr) options.api_key = key;
  Progress progress("judge", rows.size(), "rows");
  options.on_progress = [&progress](uint64_t done, uint64_t) { progress.update(done); };
  const JudgeReport report = TRY(judge(rows, options));
  progress.finish();
  TRY(write_page(flags.html, page_of(report, options.model)));
  if (flags.json) {
    print_json(to_json(report));
    return 0;
  }
  const NumberStyle share{1, 100, " %"};
  const bool pairs = rows[0].answers.size() == 2;
  Table table({"figure", "value", "95 %"});
  table.add({pairs ? "First answer preferred" : "Judged right",
             format_number(report.right_share.value, share), format_interval(report.right_share, share)});
  if (report.accuracy)
    table.add({"Agrees with people", format_number(report.accuracy->value, share),
               format_interval(*report.accuracy, share)});
  if (report.kappa)
    table.add({"Cohen's kappa", format_number(report.kappa->value, {}), format_interval(*report.kappa, {})});
  table.print();
  print_line(fmt::format("{} rows, {} with a human label, {} verdicts could not be read", rows.size(),
                         report.compared, report.unreadable));
  if (report.accuracy && !report.kappa)
    print_line("Cohen's kappa is left out: the rows are too few or too alike for an interval");
  return 0;
}

struct FairnessFlags {
  FairnessRequest request;
  std::string html;
  bool json = false;
};

Result<int> fairness(const FairnessFlags& flags) {
  const EvalReport report = TRY(measure_fairness(flags.request));
  TRY(write_page(flags.html, report));
  if (flags.json) {
    print_json(to_json(report));
    return 0;
  }
  print_eval_report(report, false);
  return 0;
}

void add_fairness(CLI::App& eval, Action& action) {
  const auto flags = std::make_shared<FairnessFlags>();
  CLI::App* command =
      eval.add_subcommand("fairness", "Who is served worse: gaps between groups, worst slices");
  command->footer(
      "Examples:\n  volant eval fairness --data predictions.jsonl --column sex --column race --html fairness.html");
  command->add_option("--data", flags->request.data, "Predictions, JSON Lines")->required();
  command->add_option("--column", flags->request.columns, "A field to group rows by; may be given again")
      ->required();
  command->add_option("--truth", flags->request.truth, "The field with what is true")->capture_default_str();
  command->add_option("--predicted", flags->request.predicted, "The field with what was predicted")
      ->capture_default_str();
  command
      ->add_option("--min-rows", flags->request.options.min_rows, "Groups smaller than this are not compared")
      ->check(CLI::Range(2, 1 << 30))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Write a page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return fairness(*flags); }; });
}

struct PredictionFlags {
  std::string data, html;
  BootstrapOptions options;
  bool json = false;
};

Result<int> predictions(const PredictionFlags& flags) {
  const EvalReport report = TRY(report_prediction_file(flags.data, flags.options));
  TRY(write_page(flags.html, report));
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_eval_report(report);
  }
  return 0;
}

void add_predictions(CLI::App& eval, Action& action) {
  const auto flags = std::make_shared<PredictionFlags>();
  CLI::App* command = eval.add_subcommand("predictions", "Report on predictions that any program wrote");
  command->footer(
      "Rows: {\"truth\": \"cat\", \"probabilities\": {\"cat\": 0.9, \"dog\": 0.1}}, or {\"truth\": 3.2, "
      "\"predicted\": 3.0};\n"
      "of ranked lists {\"relevance\": [0, 1], \"scores\": [0.2, 0.9]}.\n\n"
      "Examples:\n  volant eval predictions --data rows.jsonl --html report.html");
  command->add_option("--data", flags->data, "Predictions, JSON Lines")->required();
  command->add_option("--bootstrap", flags->options.samples, "Samples for the intervals")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  command->add_option("--seed", flags->options.seed, "Seed of the intervals")->capture_default_str();
  command->add_option("--html", flags->html, "Write a page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return predictions(*flags); }; });
}

void add_compare(CLI::App& eval, Action& action) {
  const auto flags = std::make_shared<CompareFlags>();
  CLI::App* command =
      eval.add_subcommand("compare", "Two reports (--json) side by side: is the second better?");
  command->footer("Examples:\n  volant eval compare a.json b.json --html difference.html");
  command->add_option("first", flags->first, "A report")->required();
  command->add_option("second", flags->second, "Another one, best on the same rows")->required();
  command->add_option("--html", flags->html, "Write a page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->add_flag("--gate", flags->gate,
                    "Exit status 6 when the second is shown to be worse in any figure");
  command->callback([flags, &action] { action = [flags] { return compare(*flags); }; });
}

void add_contamination(CLI::App& eval, Action& action) {
  const auto flags = std::make_shared<ContaminationFlags>();
  CLI::App* command = eval.add_subcommand("contamination", "Are a suite's questions in the training texts?");
  command->footer("Examples:\n  volant eval contamination --suite gsm8k:test.jsonl train.jsonl.zst more.txt");
  command->add_option("--suite", flags->suite, "FORMAT:PATH")->required();
  command->add_option("files", flags->files, "Training texts: text or JSON Lines, also .gz or .zst")
      ->required();
  command->add_option("--text-field", flags->documents.text_field, "JSON Lines: the field with the text")
      ->capture_default_str();
  command->add_option("--words", flags->options.words, "Length of a shared run in words")
      ->check(CLI::Range(5, 100))
      ->capture_default_str();
  command
      ->add_option("--characters", flags->options.characters, "Length of a shared run in Chinese characters")
      ->check(CLI::Range(10, 1000))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Write a page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return contamination(*flags); }; });
}

void add_judge(CLI::App& eval, Action& action) {
  const auto flags = std::make_shared<JudgeFlags>();
  CLI::App* command = eval.add_subcommand("judge", "Let a model behind an OpenAI endpoint judge answers");
  command->footer(
      "Rows: {\"question\", \"answer\", \"reference\"?, \"human\"?: true or false}, or\n"
      "{\"question\", \"answer_a\", \"answer_b\", \"human\"?: \"a\", \"b\" or \"tie\"}.\n\n"
      "Examples:\n  volant eval judge --data answers.jsonl --url http://127.0.0.1:8080/v1 --judge big-model");
  command->add_option("--data", flags->data, "Answers to judge, JSON Lines")->required();
  command->add_option("--url", flags->options.url, "The endpoint, up to /v1")->required();
  command->add_option("--judge", flags->options.model, "The model's name there")->required();
  command->add_option("--key-variable", flags->key_variable, "Environment variable with the API key, if any")
      ->capture_default_str();
  command->add_option("--max-tokens", flags->options.max_tokens, "Longest verdict")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command->add_option("--timeout", flags->options.timeout_seconds, "Seconds to wait for a verdict")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Write a page there");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return run_judge(*flags); }; });
}

}  // namespace

void print_eval_report(const EvalReport& report, bool groups) {
  Table table({"group", "figure", "value", "95 %", "rows"});
  print_figures("all", report.rows, report.figures, table);
  if (groups)
    for (const FigureGroup& group : report.groups)
      print_figures(group.name, group.rows, group.figures, table);
  table.print();
  print_sections(report);
  for (const std::string& note : report.notes) print_line("Note: " + note);
}

void add_eval_tools(CLI::App& eval, Action& action) {
  add_compare(eval, action);
  add_contamination(eval, action);
  add_judge(eval, action);
  add_fairness(eval, action);
  add_predictions(eval, action);
}

}  // namespace volant::cli
