#include "eval/predict/importance.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "eval/predict/row_scores.h"
#include "eval/report/html.h"

namespace volant {
namespace {

// The features of a column stand together.
struct Column {
  std::string name;
  size_t begin = 0, end = 0;
};

std::vector<Column> columns_of(const InputEncoder& encoder) {
  std::vector<Column> columns;
  const Json none = JsonObject();
  for (int64_t i = 0; i < encoder.n_features(); ++i) {
    const std::string name = encoder.origin(none, i);
    const auto at = static_cast<size_t>(i);
    if (columns.empty() || columns.back().name != name) columns.push_back({name, at, at});
    columns.back().end = at + 1;
  }
  return columns;
}

std::vector<size_t> shuffled(size_t n, Random& random) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::vector<EncodedInput> with_column_from(const std::vector<EncodedInput>& inputs, const Column& column,
                                           const std::vector<size_t>& from) {
  std::vector<EncodedInput> changed = inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t k = column.begin; k < column.end; ++k) changed[i].features[k] = inputs[from[i]].features[k];
  return changed;
}

}  // namespace

Result<std::vector<ColumnImportance>> column_importance(Predictor& predictor, std::span<const TaskRow> all,
                                                        const ImportanceOptions& options) {
  const std::vector<TaskRow> rows = taken_evenly(all, options.max_rows);
  if (rows.empty() || options.repeats < 1)
    return fail(ErrorCode::kInvalidArgument, "expected rows and at least one repeat, got {} and {}",
                rows.size(), options.repeats);
  std::vector<EncodedInput> inputs;
  for (const TaskRow& row : rows) inputs.push_back(TRY(predictor.encoder().encode(row.input)));
  const std::vector<double> plain = TRY(row_scores(predictor, rows, inputs));
  const bool error = predictor.problem() == Problem::kNumber;  // higher is worse; of accuracy it is better
  std::vector<ColumnImportance> importance;
  Random random(options.seed);
  for (const Column& column : columns_of(predictor.encoder())) {
    std::vector<double> without(rows.size());  // mean scores of the repeats
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
      const std::vector<double> scores =
          TRY(row_scores(predictor, rows, with_column_from(inputs, column, shuffled(rows.size(), random))));
      for (size_t i = 0; i < without.size(); ++i) without[i] += scores[i];
    }
    for (double& score : without) score /= options.repeats;
    importance.push_back({column.name, error ? mean_difference(plain, without, options.seed)
                                             : mean_difference(without, plain, options.seed)});
  }
  std::ranges::stable_sort(importance, std::ranges::greater(),
                           [](const ColumnImportance& each) { return each.worse.value; });
  return importance;
}

Status add_importance(Predictor& predictor, std::span<const TaskRow> rows, const ImportanceOptions& options,
                      EvalReport& report) {
  if (TRY(json_string_or(predictor.encoder().schema(), "kind", "")) != "table") return {};
  const bool numbers = predictor.problem() == Problem::kNumber;
  const NumberStyle style = numbers ? NumberStyle() : NumberStyle{2, 100, " points"};
  ReportSection section{
      .key = "importance",
      .title = "What it goes by: each column shuffled among the rows",
      .heading = {"column", numbers ? "rise of the squared error" : "drop of accuracy", "95 %"}};
  JsonObject columns;
  std::vector<Bar> bars;
  for (const ColumnImportance& each : TRY(column_importance(predictor, rows, options))) {
    columns[each.column] = to_json(each.worse);
    bars.push_back({each.column, each.worse});
    section.rows.push_back(
        {each.column, format_number(each.worse.value, style), format_interval(each.worse, style)});
  }
  section.plot = svg_bars(bars, "bits", style);
  section.json = {{"of", row_score_name(predictor.problem())},
                  {"repeats", options.repeats},
                  {"rows", std::min(rows.size(), options.max_rows)},
                  {"columns", std::move(columns)}};
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
