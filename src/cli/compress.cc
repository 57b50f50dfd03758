// `volant compress`: a model in another format, with its parity report.
#include <cstdio>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "compress/export.h"
#include "eval/documents.h"
#include "registry/resolve.h"

namespace volant::cli {
namespace {

constexpr size_t kParityTexts = 16, kCalibrationTexts = 512;

struct CompressFlags {
  std::string workspace = default_workspace(), model, adapter, to = "q8_0", out, texts, calibration;
  bool json = false;
};

void print_report(const ParityReport& report, const std::string& out) {
  std::printf("%s: %s, %s\n", out.c_str(), report.format.c_str(),
              format_bytes(static_cast<double>(report.bytes)).c_str());
  std::printf("  same most likely next token   %.2f %% of %s positions\n", 100 * report.greedy_agreement,
              format_count(static_cast<uint64_t>(report.positions)).c_str());
  std::printf("  mean divergence               %.3g nats (at most %.3g)\n", report.mean_kl,
              report.max_mean_kl_allowed);
  std::printf("  largest logit error           %.3g\n", report.max_logit_error);
  std::string types;
  for (const auto& [type, n] : report.tensors)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", n, type);
  if (!types.empty()) std::printf("  tensors                       %s\n", types.c_str());
  for (const std::string& note : report.notes) std::printf("  %s\n", note.c_str());
}

Result<std::vector<std::string>> read_texts(const std::string& path, size_t limit) {
  const std::vector<EvalDocument> documents =
      TRY(read_eval_documents(path, {.separator = "", .text_field = "text", .limit = limit}));
  std::vector<std::string> texts;
  for (const EvalDocument& document : documents) texts.push_back(document.text);
  return texts;
}

Result<int> compress(const CompressFlags& flags) {
  ExportOptions options;
  options.to = TRY(ExportFormat::from_name(flags.to));
  options.out = flags.out;
  options.adapter = flags.adapter;
  if (!flags.texts.empty()) options.parity_texts = TRY(read_texts(flags.texts, kParityTexts));
  if (!flags.calibration.empty()) {
    if (!options.to.quantised()) {
      return fail(ErrorCode::kInvalidArgument, "--calibration serves quantised formats, {} is none",
                  flags.to);
    }
    options.calibration_texts = TRY(read_texts(flags.calibration, kCalibrationTexts));
  }
  const ParityReport report = TRY(export_model(TRY(resolve_model(flags.workspace, flags.model)), options));
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_report(report, flags.out);
  }
  return 0;
}

}  // namespace

void add_compress(CLI::App& root, Action& action) {
  CLI::App* command =
      root.add_subcommand("compress", "Write a model in another format and prove that it is the same");
  command->footer(
      "The written model is run beside the original; one that differs too much is refused\n"
      "and nothing is left behind.\n\n"
      "Examples:\n"
      "  volant compress --model ~/models/tiny --to q8_0 --out tiny.gguf      8 bits, also for llama.cpp\n"
      "  volant compress --model ~/models/tiny --to q4_K_M --calibration notes.txt --out tiny.gguf\n"
      "  volant compress --model tiny.gguf --to f32 --out tiny-hf             a Hugging Face folder\n"
      "  volant compress --model production --to bf16 --out tiny.gguf --texts held-out.txt --json");
  const auto flags = std::make_shared<CompressFlags>();
  command->add_option("--model", flags->model, "A Hugging Face folder, a .gguf file, a version or an alias")
      ->required();
  command->add_option("--adapter", flags->adapter,
                      "A folder in PEFT's layout (LoRA, DoRA), merged into the model first");
  command->add_option("--to", flags->to, "Numbers of the matrices")
      ->check(CLI::IsMember(export_format_names()))
      ->capture_default_str();
  command->add_option("--out", flags->out, "A .gguf file, or a new folder in Hugging Face's layout")
      ->required();
  command->add_option("-w,--workspace", flags->workspace, "Folder with volant.toml, for versions and aliases")
      ->capture_default_str();
  command->add_option("--texts", flags->texts,
                      "Texts for the comparison (text or JSON Lines); default: built in");
  command->add_option(
      "--calibration", flags->calibration,
      "Texts (text or JSON Lines) that show which inputs matter: fewer errors at the same size");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return compress(*flags); }; });
}

}  // namespace volant::cli
