#include "eval/report/report.h"

#include <cmath>

#include "eval/report/html.h"

namespace volant {
namespace {

JsonObject to_json(const Figure& figure) {
  JsonObject json = volant::to_json(figure.estimate).as_object();
  json["better"] = figure.higher_is_better ? "higher" : "lower";
  if (figure.rows > 0) json["rows"] = figure.rows;
  return json;
}

Json plots_of(const EvalReport& report) {
  JsonObject plots;
  const auto add_curve = [&plots](const char* name, const std::vector<CurvePoint>& curve) {
    if (curve.empty()) return;
    JsonArray points;
    for (const CurvePoint& point : curve) points.push_back(JsonArray{point.x, point.y});
    plots[name] = std::move(points);
  };
  add_curve("roc", report.roc);
  add_curve("precision_recall", report.precision_recall);
  if (!report.calibration.empty()) {
    JsonArray bins;
    for (const CalibrationBin& bin : report.calibration) {
      if (bin.rows > 0)
        bins.push_back(
            JsonObject{{"confidence", bin.confidence}, {"accuracy", bin.accuracy}, {"rows", bin.rows}});
    }
    plots["calibration"] = std::move(bins);
  }
  if (!report.confusion.classes.empty()) {
    JsonArray classes, counts;
    for (const std::string& name : report.confusion.classes) classes.emplace_back(name);
    for (const int64_t count : report.confusion.counts) counts.emplace_back(count);
    plots["confusion"] = JsonObject{{"classes", std::move(classes)}, {"counts", std::move(counts)}};
  }
  return plots;
}

Json row_scores_of(const EvalReport& report) {
  JsonArray ids;
  for (const std::string& id : report.row_ids) ids.emplace_back(id);
  JsonObject scores{{"ids", std::move(ids)}};
  for (const auto& [name, values] : report.row_scores) {
    JsonArray array;
    for (const double value : values) array.emplace_back(value);
    scores[name] = std::move(array);
  }
  return scores;
}

// Names that stand at the top of the JSON beside the figures.
bool is_reserved(std::string_view name) {
  return name == "row_scores" || name == "by_group" || name == "by_language" || name == "plots" ||
         name == "settings" || name == "robustness" || name == "fairness";
}

// Every field that holds a value with its interval.
std::vector<Figure> figures_of(const Json& json) {
  std::vector<Figure> figures;
  if (!json.is_object()) return figures;
  for (const auto& [key, value] : json.get_object()) {
    if (!value.is_object() || is_reserved(key)) continue;
    const Result<Estimate> estimate = estimate_from_json(value);
    if (!estimate) continue;
    const std::string name(key);
    const bool lower = name == "bits_per_byte" || name == "perplexity";
    const std::string better = json_string_or(value, "better", lower ? "lower" : "higher").value_or("higher");
    figures.push_back({name, *estimate, better != "lower", json_int_or(value, "rows", 0).value_or(0)});
  }
  return figures;
}

Status read_row_scores(const Json& json, EvalReport& report) {
  const Json* scores = json_find(json, "row_scores");
  if (scores == nullptr) return {};
  const Json* ids = json_find(*scores, "ids");
  if (ids == nullptr || !ids->is_array())
    return fail(ErrorCode::kParse, "expected a list \"ids\" in \"row_scores\"");
  for (const Json& id : ids->get_array()) {
    if (!id.is_string()) return fail(ErrorCode::kParse, "expected texts in \"ids\" of \"row_scores\"");
    report.row_ids.emplace_back(id.get_string());
  }
  for (const auto& [key, values] : scores->get_object()) {
    if (key == "ids") continue;
    if (!values.is_array() || values.get_array().size() != report.row_ids.size())
      return fail(ErrorCode::kParse, "expected {} numbers in \"row_scores\" at \"{}\"", report.row_ids.size(),
                  std::string_view(key));
    std::vector<double>& list = report.row_scores[std::string(key)];
    for (const Json& value : values.get_array()) {
      if (!value.is_number())
        return fail(ErrorCode::kParse, "expected numbers in \"row_scores\" at \"{}\"", std::string_view(key));
      list.push_back(value.to_number<double>());
    }
  }
  return {};
}

std::string figure_cards(const EvalReport& report) {
  std::string html = R"(<div class="cards">)";
  for (const Figure& figure : report.figures) {
    std::string note = figure.higher_is_better ? "more is better" : "less is better";
    if (figure.rows > 0) note += fmt::format("; of {} rows", figure.rows);
    html += html_card(figure_title(figure.name), figure.estimate, style_of_figure(figure), note);
  }
  return html + "</div>";
}

std::string group_bars(const EvalReport& report) {
  std::string html;
  for (const Figure& figure : report.figures) {
    std::vector<Bar> bars;
    for (const FigureGroup& group : report.groups) {
      for (const Figure& of_group : group.figures) {
        if (of_group.name == figure.name)
          bars.push_back({fmt::format("{} ({})", group.name, group.rows), of_group.estimate});
      }
    }
    if (bars.empty()) continue;
    html += "<h2>" + escape_html(figure_title(figure.name)) + " by group (rows)</h2>" +
            svg_bars(bars, figure.higher_is_better ? "right" : "bits", style_of_figure(figure));
  }
  return html;
}

std::string plots_html(const EvalReport& report) {
  std::string html;
  if (!report.roc.empty()) html += "<figure><h2>ROC</h2>" + svg_roc(report.roc) + "</figure>";
  // The last point has every row above its threshold: its precision is the share of positive rows.
  if (!report.precision_recall.empty())
    html += "<figure><h2>Precision and recall</h2>" +
            svg_precision_recall(report.precision_recall, report.precision_recall.back().y) + "</figure>";
  if (!report.calibration.empty())
    html += "<figure><h2>Calibration</h2>" + svg_calibration(report.calibration) + "</figure>";
  if (!report.confusion.classes.empty())
    html += "<figure><h2>Confusion: true (rows), predicted (columns)</h2>" + svg_confusion(report.confusion) +
            "</figure>";
  return html.empty() ? html : R"(<div class="plots">)" + html + "</div>";
}

}  // namespace

Json to_json(const EvalReport& report) {
  JsonObject json{{"title", report.title},
                  {"model", report.model},
                  {"suite", report.suite},
                  {"created_at", report.created_at},
                  {"rows", report.rows}};
  for (const Figure& figure : report.figures) json[figure.name] = to_json(figure);
  JsonObject groups;
  for (const FigureGroup& group : report.groups) {
    JsonObject of_group{{"rows", group.rows}};
    for (const Figure& figure : group.figures) of_group[figure.name] = to_json(figure);
    groups[group.name] = std::move(of_group);
  }
  if (!groups.empty()) json["by_group"] = std::move(groups);
  JsonArray notes, examples;
  for (const std::string& note : report.notes) notes.emplace_back(note);
  for (const ReportExample& e : report.examples) {
    examples.push_back(JsonObject{{"id", e.id},
                                  {"asked", e.asked},
                                  {"answered", e.answered},
                                  {"expected", e.expected},
                                  {"score", e.score}});
  }
  json["notes"] = std::move(notes);
  json["settings"] = report.settings;
  for (const ReportSection& section : report.sections) json[section.key] = section.json;
  if (Json plots = plots_of(report); !plots.as_object().empty()) json["plots"] = std::move(plots);
  json["examples"] = std::move(examples);
  json["row_scores"] = row_scores_of(report);
  return json;
}

Result<EvalReport> report_from_json(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected an evaluation report, got no JSON object");
  EvalReport report;
  report.title = TRY(json_string_or(json, "title", ""));
  report.model = TRY(json_string_or(json, "model", ""));
  report.suite = TRY(json_string_or(json, "suite", ""));
  report.created_at = TRY(json_string_or(json, "created_at", ""));
  if (const Json* settings = json_find(json, "settings"); settings != nullptr && settings->is_object())
    report.settings = settings->get_object();
  report.rows = TRY(json_int_or(json, "rows", TRY(json_int_or(json, "documents", 0))));
  report.figures = figures_of(json);
  if (report.figures.empty())
    return fail(ErrorCode::kParse,
                "expected an evaluation report with figures like {{\"value\", \"ci95\"}}, found none");
  for (const char* key : {"by_group", "by_language"}) {
    const Json* groups = json_find(json, key);
    if (groups == nullptr || !groups->is_object()) continue;
    for (const auto& [name, group] : groups->get_object())
      report.groups.push_back({std::string(name),
                               TRY(json_int_or(group, "rows", TRY(json_int_or(group, "documents", 0)))),
                               figures_of(group)});
  }
  TRY(read_row_scores(json, report));
  return report;
}

std::string to_html(const EvalReport& report) {
  std::string html = figure_cards(report);
  for (const std::string& note : report.notes) html += "<p>" + escape_html(note) + "</p>";
  html += plots_html(report) + group_bars(report);
  for (const ReportSection& section : report.sections)
    html += "<h2>" + escape_html(section.title) + "</h2>" + section.plot +
            html_table(section.heading, section.rows);
  if (!report.examples.empty()) html += "<h2>Rows</h2>";
  for (const ReportExample& e : report.examples) {
    html += fmt::format(R"(<div class="sample"><b>{} · {:.2f}</b>)"
                        "\n{}\n"
                        R"(<span class="soft">answered</span> {})"
                        "\n"
                        R"(<span class="soft">expected</span> {}</div>)",
                        escape_html(e.id), e.score, escape_html(e.asked), escape_html(e.answered),
                        escape_html(e.expected));
  }
  html += "<h2>Settings</h2>";
  std::vector<std::vector<std::string>> settings;
  for (const auto& [key, value] : report.settings)
    settings.push_back(
        {std::string(key), value.is_string() ? std::string(value.get_string()) : dump_json(value)});
  html += html_table({"setting", "value"}, settings);
  html += R"(<p class="soft">)" + escape_html(report.intervals) + "</p>";
  return html_page(report.title, fmt::format("{} rows · {}", report.rows, report.created_at.substr(0, 16)),
                   html);
}

}  // namespace volant
