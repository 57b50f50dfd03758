// `volant data`: what the data of a workspace became, and collecting,
// preparing, masking and looking at files without one.
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "data/collect.h"
#include "data/personal_data.h"
#include "data/prepare.h"
#include "data/sample.h"
#include "wheel/status.h"

namespace volant::cli {
namespace {

struct ReportFlags {
  std::string workspace = default_workspace();
  int n_examples = 1;
  bool json = false;
};

struct PrepareFlags {
  CollectSource source;
  PrepareOptions prepare;
  std::string out;
  bool keep_personal_data = false, json = false;
};

struct InspectFlags {
  std::string file, kind;
  int n_rows = 3;
  bool json = false;
};

std::string text_of(const Json& object, const char* key) {
  const Json* value = json_find(object, key);
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->get_string()))
                                                : std::string();
}

uint64_t count_of(const Json& object, const char* key) {
  const Json* value = json_find(object, key);
  return value == nullptr ? 0 : value->to_number<uint64_t>();
}

const JsonArray& list_of(const Json& object, const char* key) {
  static const JsonArray empty;
  const Json* value = json_find(object, key);
  return value != nullptr && value->is_array() ? value->get_array() : empty;
}

const JsonObject& map_of(const Json& object, const char* key) {
  static const JsonObject empty;
  const Json* value = json_find(object, key);
  return value != nullptr && value->is_object() ? value->get_object() : empty;
}

// A text on one line, of at most `width` bytes or so. Control characters of the data show as symbols: they
// must not reach the terminal.
std::string one_line(const std::string& text, size_t width) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      ++i;  // U+0080 to U+009F: controls too
      continue;
    }
    if (out.size() >= width && (byte & 0xC0) != 0x80) return out + "...";
    if (c == '\n' || c == '\t') {
      out.push_back(' ');
    } else if (byte < 0x20 || byte == 0x7F) {
      out += byte == 0x7F ? "\xE2\x90\xA1" : std::string("\xE2\x90") + static_cast<char>(0x80 + byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

void print_collect(const Json& report) {
  std::printf("Collected %s records, %s of text\n", format_count(count_of(report, "rows_out")).c_str(),
              format_bytes(static_cast<double>(count_of(report, "bytes_out"))).c_str());
  for (const Json& source : list_of(report, "sources")) {
    std::printf("  %-20s %10s records from %s files", text_of(source, "name").c_str(),
                format_count(count_of(source, "records")).c_str(),
                format_count(count_of(source, "files")).c_str());
    for (const auto& [charset, files] : map_of(source, "charsets")) {
      std::printf(" %s", std::string(charset).c_str());
    }
    if (const uint64_t bad = count_of(source, "rows_bad") + count_of(source, "files_bad")) {
      std::printf(", %s bad", format_count(bad).c_str());
    }
    std::printf("\n");
    int shown = 0;
    for (const Json& problem : list_of(source, "problems")) {
      if (++shown > 3) break;
      std::printf("      %s: %s\n", text_of(problem, "where").c_str(), text_of(problem, "message").c_str());
    }
  }
}

void print_step(const Json& step, int n_examples) {
  std::printf(
      "  %-18s %10s %10s %10s %10s\n", text_of(step, "name").c_str(),
      format_count(count_of(step, "rows_in")).c_str(), format_count(count_of(step, "rows_out")).c_str(),
      format_count(count_of(step, "dropped")).c_str(), format_count(count_of(step, "changed")).c_str());
  for (const auto& [reason, count] : map_of(step, "reasons")) {
    std::printf("      %-24s %10s\n", std::string(reason).c_str(),
                format_count(count.to_number<uint64_t>()).c_str());
    int shown = 0;
    for (const Json& example : list_of(step, "examples")) {
      if (text_of(example, "reason") != reason || ++shown > n_examples) continue;
      std::printf("        %s record %s: %s\n", text_of(example, "path").c_str(),
                  format_count(count_of(example, "record")).c_str(),
                  one_line(text_of(example, "text"), 70).c_str());
      const std::string detail = text_of(example, "detail");
      if (!detail.empty()) std::printf("          -> %s\n", one_line(detail, 90).c_str());
    }
  }
}

void print_prepare(const Json& report, int n_examples) {
  std::printf("Prepared %s of %s rows\n  %-18s %10s %10s %10s %10s\n",
              format_count(count_of(report, "rows_out")).c_str(),
              format_count(count_of(report, "rows_in")).c_str(), "step", "in", "out", "dropped", "changed");
  for (const Json& step : list_of(report, "steps")) print_step(step, n_examples);
  for (const char* part : {"languages", "splits"}) {
    std::printf("%s\n", part);
    for (const auto& [name, counts] : map_of(report, part)) {
      std::printf("  %-18s %10s rows %12s\n", std::string(name).c_str(),
                  format_count(count_of(counts, "rows")).c_str(),
                  format_bytes(static_cast<double>(count_of(counts, "bytes"))).c_str());
    }
  }
  if (!map_of(report, "personal_data").empty()) std::printf("personal data masked\n");
  for (const auto& [kind, count] : map_of(report, "personal_data")) {
    std::printf("  %-18s %10s\n", std::string(kind).c_str(),
                format_count(count.to_number<uint64_t>()).c_str());
  }
  for (const Json& warning : list_of(report, "warnings")) {
    std::printf("warning: %s\n", std::string(std::string_view(warning.as_string())).c_str());
  }
}

Result<int> report(const ReportFlags& flags) {
  const std::unique_ptr<Workspace> workspace = TRY(Workspace::open(flags.workspace));
  const Json reports = TRY(data_reports(*workspace));
  if (flags.json) {
    std::printf("%s\n", dump_json(reports).c_str());
    return 0;
  }
  const Json* collected = json_find(reports, "collect");
  const Json* prepared = json_find(reports, "prepare");
  if (collected == nullptr && prepared == nullptr) {
    return fail(ErrorCode::kNotFound, "nothing was collected or prepared yet; do it with 'volant run {}'",
                flags.workspace);
  }
  if (collected != nullptr) print_collect(*collected);
  if (prepared != nullptr) print_prepare(*prepared, flags.n_examples);
  return 0;
}

// Rows of collect() go to a file inside the output folder that is removed at the end.
Result<int> prepare_files(PrepareFlags flags) {
  flags.prepare.mask_personal_data = !flags.keep_personal_data;
  const Path out = flags.out;
  if (std::filesystem::exists(out) && !std::filesystem::is_empty(out)) {
    return fail(ErrorCode::kAlreadyExists, "expected a new or empty folder; choose another --out")
        .at(flags.out);
  }
  TRY(check_prepare_options(flags.prepare));
  const Path collected = partial_path(out).string() + ".jsonl.zst";
  const CollectReport collect_report =
      TRY(collect({.sources = {flags.source}}, collected, std::filesystem::current_path()));
  const Result<PrepareReport> prepared = prepare(flags.prepare, {collected}, out);
  TRY(volant::remove_all(collected));
  if (!prepared) return prepared.error();
  if (flags.json) {
    std::printf("%s\n", dump_json(JsonObject{{"out", flags.out},
                                             {"collect", collect_report.to_json()},
                                             {"prepare", prepared->to_json()}})
                            .c_str());
  } else {
    print_collect(collect_report.to_json());
    print_prepare(prepared->to_json(), 1);
    std::printf("%s/train.jsonl.zst, validation.jsonl.zst, test.jsonl.zst, report.json\n", flags.out.c_str());
  }
  return 0;
}

// Line by line, so that it works in a pipe; masked data never spans lines.
Result<int> mask() {
  std::map<std::string, uint64_t> counts;
  std::string line;
  uint64_t n_lines = 0;
  while (std::getline(std::cin, line)) {
    ++n_lines;
    const bool ended = !std::cin.eof();
    const std::string masked = mask_personal_data(line, &counts);
    if (std::fwrite(masked.data(), 1, masked.size(), stdout) != masked.size()) {
      return fail(ErrorCode::kIo, "cannot write to standard output");
    }
    if (ended) std::fputc('\n', stdout);
  }
  std::string kinds;
  for (const auto& [kind, count] : counts)
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", format_count(count), kind);
  std::fprintf(stderr, "%s lines; masked: %s\n", format_count(n_lines).c_str(),
               kinds.empty() ? "nothing" : kinds.c_str());
  return 0;
}

Result<int> inspect(const InspectFlags& flags) {
  const Json sample = TRY(sample_of_file(flags.file, flags.kind, static_cast<uint64_t>(flags.n_rows)));
  if (flags.json) {
    std::printf("%s\n", dump_json(sample).c_str());
    return 0;
  }
  std::printf("%s: %s, %s, %s records\n", flags.file.c_str(), text_of(sample, "kind").c_str(),
              format_bytes(static_cast<double>(count_of(sample, "bytes"))).c_str(),
              format_count(count_of(sample, "records")).c_str());
  for (const char* counted : {"charsets", "fields", "languages", "verdicts", "personal_data"}) {
    std::string line;
    for (const auto& [name, count] : map_of(sample, counted)) {
      line += fmt::format("{}{} {}", line.empty() ? "" : ", ", std::string_view(name),
                          format_count(count.to_number<uint64_t>()));
    }
    if (!line.empty()) std::printf("  %-14s %s\n", counted, line.c_str());
  }
  for (const Json& problem : list_of(sample, "problems")) {
    std::printf("  %s: %s\n", text_of(problem, "where").c_str(), text_of(problem, "message").c_str());
  }
  for (const Json& row : list_of(sample, "rows")) {
    std::printf("--- record %s, %s, %s\n%s\n", format_count(count_of(row, "record")).c_str(),
                text_of(row, "lang").c_str(), text_of(row, "verdict").c_str(), text_of(row, "text").c_str());
  }
  return 0;
}

void add_report(CLI::App& data, Action& action) {
  const auto flags = std::make_shared<ReportFlags>();
  CLI::App* command = data.add_subcommand("report", "What was collected, kept and dropped, and why");
  command->footer(
      "Examples:\n"
      "  volant data report my-model\n"
      "  volant data report my-model --examples 3\n"
      "  volant data report my-model --json");
  command->add_option("workspace", flags->workspace, "Folder with volant.toml")->capture_default_str();
  command->add_option("--examples", flags->n_examples, "Examples of each reason, 0 to 3")
      ->check(CLI::Range(0, 3))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return report(*flags); }; });
}

void add_prepare(CLI::App& data, Action& action) {
  const auto flags = std::make_shared<PrepareFlags>();
  flags->source.name = "files";
  CLI::App* command =
      data.add_subcommand("prepare", "Clean, mask, de-duplicate and split files, without a workspace");
  command->footer(
      "Examples:\n"
      "  volant data prepare --source '/usr/share/games/fortunes/*' --exclude '*.dat' --separator % "
      "--out fortunes\n"
      "  volant data prepare --source 'reviews.csv' --kind csv --field text --languages en,zh --out reviews\n"
      "  volant data prepare --source 'chats/*.jsonl.zst' --kind jsonl --out chats");
  CollectSource& source = flags->source;
  PrepareOptions& prepare = flags->prepare;
  command->add_option("--source", source.paths, "Files; shell patterns in quotes")->required();
  command->add_option("--out", flags->out, "New folder for train, validation and test rows")->required();
  command->add_option("--kind", source.kind, "What the files are")
      ->check(CLI::IsMember({"text", "markdown", "html", "csv", "jsonl"}))
      ->capture_default_str();
  command->add_option("--exclude", source.exclude, "File names to leave out");
  command->add_option("--separator", source.separator,
                      "text: the line between records; markdown: '#' for a record a heading");
  command->add_option("--field", source.text_field, "csv, jsonl: column or field with the text")
      ->capture_default_str();
  command->add_option("--charset", source.charset, "Charset of the files; default: find out");
  command->add_option("--languages", prepare.languages, "Languages to keep, as en,zh; default: all")
      ->delimiter(',');
  command->add_option("--min-chars", prepare.min_chars, "Shorter texts are dropped")->capture_default_str();
  command->add_option("--max-chars", prepare.max_chars, "Longer texts are cut")->capture_default_str();
  command
      ->add_option("--near-duplicates", prepare.near_duplicate_threshold,
                   "Similarity from which texts are the same; 0: off")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--min-quality", prepare.min_quality, "Lowest quality score; 0: keep all")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--validation", prepare.validation_share, "Share of validation rows")
      ->capture_default_str();
  command->add_option("--test", prepare.test_share, "Share of test rows")->capture_default_str();
  command->add_flag("--keep-personal-data", flags->keep_personal_data, "Do not mask personal data");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return prepare_files(*flags); }; });
}

void add_inspect(CLI::App& data, Action& action) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = data.add_subcommand(
      "inspect", "How a file would be read: kind, charset, fields, languages, first rows");
  command->footer(
      "Examples:\n  volant data inspect posts.csv\n  volant data inspect rows.jsonl.zst --rows 10");
  command->add_option("file", flags->file, "The file")->required();
  command->add_option("--kind", flags->kind, "What it is; default: by its name")
      ->check(CLI::IsMember({"text", "markdown", "html", "csv", "jsonl"}));
  command->add_option("--rows", flags->n_rows, "Rows to show")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return inspect(*flags); }; });
}

}  // namespace

void add_data(CLI::App& root, Action& action) {
  CLI::App* data = root.add_subcommand("data", "Collected and prepared data: report, prepare, mask, inspect");
  data->require_subcommand(1);
  data->footer(
      "Examples:\n"
      "  volant data report my-model               what was kept and dropped, and why\n"
      "  volant data mask < mails.txt > clean.txt  personal data becomes <EMAIL>, <PHONE>, ...\n"
      "  volant data inspect posts.csv             how a file would be read");
  add_report(*data, action);
  add_prepare(*data, action);
  CLI::App* mask_command =
      data->add_subcommand("mask", "Mask personal data: standard input to standard output");
  mask_command->footer(
      "Examples:\n"
      "  volant data mask < mails.txt > clean.txt\n"
      "  echo 'call 138 1234 5678' | volant data mask");
  mask_command->callback([&action] { action = [] { return mask(); }; });
  add_inspect(*data, action);
}

}  // namespace volant::cli
