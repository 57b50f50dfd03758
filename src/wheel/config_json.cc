// Sections as JSON, by the same list of fields that reads them.
#include "wheel/config_fields.h"

namespace volant {
namespace {

struct Writer {
  JsonObject out;
  void text(const char* key, const std::string& value) { out[key] = value; }
  void choice(const char* key, const std::string& value, const std::vector<std::string>&) {
    out[key] = value;
  }
  template <class T>
  void integer(const char* key, const T& value, int64_t, int64_t) {
    out[key] = value;
  }
  void number(const char* key, double value, double, double) { out[key] = value; }
  void flag(const char* key, bool value) { out[key] = value; }
  void texts(const char* key, const std::vector<std::string>& values) {
    JsonArray array;
    for (const std::string& value : values) array.emplace_back(value);
    out[key] = std::move(array);
  }
};

template <class Section>
Json section_json(Section section) {
  Writer writer;
  visit_fields(writer, section);
  return Json(std::move(writer.out));
}

}  // namespace

Json to_json(const SourceSection& section) { return section_json(section); }
Json to_json(const PrepareSection& section) { return section_json(section); }
Json to_json(const TokenizerSection& section) { return section_json(section); }
Json to_json(const ModelSection& section) { return section_json(section); }
Json to_json(const TrainSection& section) { return section_json(section); }
Json to_json(const EvaluateSection& section) { return section_json(section); }
Json to_json(const CompressSection& section) { return section_json(section); }
Json to_json(const PredictGateSection& section) { return section_json(section); }
Json to_json(const GateSection& section) { return section_json(section); }
Json to_json(const ImproveSection& section) { return section_json(section); }

}  // namespace volant
