// The report of prepare() as JSON, as report.json and the console have it.
#include "data/prepare.h"

namespace volant {
namespace {

Json in_out(const std::array<uint64_t, 2>& counts, const char* in, const char* out) {
  return JsonObject{{in, counts[0]}, {out, counts[1]}};
}

Json example_json(const PrepareExample& example) {
  return JsonObject{{"reason", example.reason}, {"text", example.text},     {"source", example.source},
                    {"path", example.path},     {"record", example.record}, {"detail", example.detail}};
}

Json step_json(const PrepareStepReport& step) {
  JsonObject by_language, reasons;
  for (const auto& [language, counts] : step.by_language) by_language[language] = in_out(counts, "in", "out");
  for (const auto& [reason, count] : step.reasons) reasons[reason] = count;
  JsonArray examples;
  for (const PrepareExample& example : step.examples) examples.push_back(example_json(example));
  return JsonObject{{"name", step.name},       {"rows_in", step.rows_in}, {"rows_out", step.rows_out},
                    {"dropped", step.dropped}, {"changed", step.changed}, {"by_language", by_language},
                    {"reasons", reasons},      {"examples", examples}};
}

Json rows_and_bytes(const std::map<std::string, RowsAndBytes>& all) {
  JsonObject out;
  for (const auto& [name, counts] : all)
    out[name] = JsonObject{{"rows", counts.rows}, {"bytes", counts.bytes}};
  return out;
}

}  // namespace

Json PrepareReport::to_json() const {
  JsonArray step_list, warning_list;
  for (const PrepareStepReport& step : steps) step_list.push_back(step_json(step));
  for (const std::string& warning : warnings) warning_list.emplace_back(warning);
  JsonObject source_counts, masked;
  for (const auto& [name, counts] : sources) source_counts[name] = in_out(counts, "rows_in", "rows_out");
  for (const auto& [kind, count] : personal_data) masked[kind] = count;
  return JsonObject{{"rows_in", rows_in},
                    {"rows_out", rows_out},
                    {"bytes_in", bytes_in},
                    {"bytes_out", bytes_out},
                    {"steps", step_list},
                    {"languages", rows_and_bytes(languages)},
                    {"splits", rows_and_bytes(splits)},
                    {"sources", source_counts},
                    {"personal_data", masked},
                    {"warnings", warning_list}};
}

}  // namespace volant
