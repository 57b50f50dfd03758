#include "wheel/exported.h"

#include <algorithm>

#include "wheel/held_out.h"

namespace volant {
namespace {

constexpr size_t kParityTexts = 16;

Result<ParityReport> export_one(const Path& hf, const std::string& format, const Path& out,
                                const std::vector<std::string>& texts) {
  ExportOptions options;
  options.to = TRY(ExportFormat::from_name(format));
  options.out = out;
  options.parity_texts = texts;
  return export_model(hf, options);
}

}  // namespace

Result<ExportedModel> export_formats(const Path& hf, const CompressSection& config,
                                     const std::vector<EvalDocument>& documents, const Path& folder,
                                     const std::string& name) {
  std::vector<std::string> texts = texts_of(documents);
  if (texts.size() > kParityTexts) texts.resize(kParityTexts);
  ExportedModel exported;
  JsonObject parity;
  JsonArray others;
  const auto& formats = config.formats;
  if (std::find(formats.begin(), formats.end(), "f32") == formats.end()) {
    const Path check = folder / (name + "-f32.gguf");
    parity["f32"] = to_json(TRY(export_one(hf, "f32", check, texts)));
    TRY(volant::remove_all(check));
  }
  for (const std::string& format : formats) {
    const Path out = folder / fmt::format("{}-{}.gguf", name, format);
    const Json report = to_json(TRY(export_one(hf, format, out, texts)));
    exported.files.push_back({format, out});
    if (format == "f32") parity["f32"] = report;
    if (exported.files.size() > 1) {
      others.push_back(report);
    } else if (report.is_object()) {
      for (const auto& [key, value] : report.as_object()) parity[key] = value;
    }
  }
  parity["others"] = std::move(others);
  exported.parity = Json(std::move(parity));
  const LanguageEvalReport report = TRY(evaluate_model(exported.files.front().path, documents, {}));
  exported.scores = report.documents;
  exported.bits_per_byte = report.all.bits_per_byte.value;
  return exported;
}

}  // namespace volant
