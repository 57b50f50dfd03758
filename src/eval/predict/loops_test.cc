// What stands in a predictor's report against plain loops over the rows: importance of columns with several
// classes, figures and gaps by group with their intervals, the worst slice, robustness of texts and tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "base/random.h"
#include "eval/predict/importance.h"
#include "eval/predict/input_changes.h"
#include "eval/predict/robustness.h"
#include "eval/predict/slices.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "support/scratch_dir.h"
#include "tasks/image/image_encoder.h"
#include "tasks/table/table_encoder.h"
#include "tasks/text/text_task.h"

namespace volant {
namespace {

using Rows = std::vector<TaskRow>;

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

std::unique_ptr<Predictor> model_of(const Path& folder, const InputEncoder& encoder, JsonObject config,
                                    const std::vector<Tensor>& tensors) {
  EXPECT_TRUE(encoder.save(folder));
  config["model_type"] = "network";
  EXPECT_TRUE(
      write_file_atomic(folder / "config.json", dump_json(ModelConfig::from_json(config).value().to_json())));
  std::map<std::string, SafetensorsEntry> entries;
  for (const Tensor& tensor : tensors)
    entries[tensor.name] = {"F32", tensor.shape, std::as_bytes(std::span<const float>(tensor.values))};
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", entries));
  auto predictor = Predictor::load(folder, {.n_threads = 1});
  EXPECT_TRUE(predictor) << predictor.error().to_string();
  return std::move(predictor).value();
}

// The label that the model says for an input.
std::string said(Predictor& predictor, const Json& input) {
  const auto predictions = predictor.predict({&input, 1}).value();
  return predictor.labels()[static_cast<size_t>(predictions[0].best)];
}

double right(Predictor& predictor, const TaskRow& row, const Json& input) {
  return said(predictor, input) == row.label ? 1 : 0;
}

double number(const Json& json, const char* key) { return json.at(key).to_number<double>(); }
double end_of(const Json& estimate, size_t which) {
  return estimate.at("ci95").as_array()[which].to_number<double>();
}

const ReportSection& section_of(const EvalReport& report, std::string_view key) {
  const auto found = std::ranges::find(report.sections, key, &ReportSection::key);
  EXPECT_NE(found, report.sections.end()) << key;
  return *found;
}

// Three classes by two numbers and a colour, of four rows in five; the fifth has any label.
Rows three_classes(size_t n) {
  Random random(31);
  Rows rows;
  for (size_t i = 0; i < n; ++i) {
    const double a = random.normal(), b = random.normal();
    const char* colour = random.below(3) == 0 ? "red" : random.below(2) == 0 ? "green" : "blue";
    std::string label = std::string(colour) == "red" ? "z" : a > b ? "x" : "y";
    if (i % 5 == 0) label = std::string(1, static_cast<char>('x' + random.below(3)));
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"a", a}, {"b", b}, {"colour", colour}, {"c", random.normal()}},
                    .label = label,
                    .target = {}});
  }
  return rows;
}

// Scores 3 a, 3 b, and 6 where the colour is red.
std::unique_ptr<Predictor> judge_of_three(const Path& folder, const Rows& rows) {
  const auto encoder = TableEncoder::learn({.min_count = 1}, rows).value();
  const auto F = static_cast<size_t>(encoder->n_features());
  const Json red = JsonObject{{"colour", "red"}}, green = JsonObject{{"colour", "green"}};
  const auto of_red = encoder->encode(red).value().features,
             of_green = encoder->encode(green).value().features;
  Tensor head{"head.weight", {3, encoder->n_features()}, std::vector<float>(3 * F)};
  for (size_t f = 0; f < F; ++f) {
    const std::string column = encoder->origin(JsonObject(), static_cast<int64_t>(f));
    if (column == "a") head.values[f] = 3;
    if (column == "b") head.values[F + f] = 3;
    if (column == "colour" && of_red[f] > of_green[f]) head.values[2 * F + f] = 6;
  }
  return model_of(folder, *encoder,
                  {{"input_shape", JsonArray{encoder->n_features()}},
                   {"layers", JsonArray()},
                   {"id2label", {{"0", "x"}, {"1", "y"}, {"2", "z"}}}},
                  {head, {"head.bias", {3}, {0, 0, 0}}});
}

// The expected accuracy with a column dealt anew is the mean over all pairs of a row and a giver.
TEST(ImportanceOfSeveralClasses, IsWhatALoopOverAllPairsExpects) {
  const testing::ScratchDir dir;
  const Rows rows = three_classes(120);
  const auto predictor = judge_of_three(dir.path(), rows);
  constexpr int kRepeats = 60;
  const auto importance = column_importance(*predictor, rows, {.repeats = kRepeats}).value();
  ASSERT_EQ(importance.size(), 4U);
  double plain = 0;
  for (const TaskRow& row : rows) plain += right(*predictor, row, row.input) / 120;
  EXPECT_GT(plain, 0.7);
  EXPECT_LT(plain, 1);
  for (const ColumnImportance& each : importance) {
    double expected = 0, deviation = 0;
    for (const TaskRow& row : rows) {
      double share = 0;
      for (const TaskRow& giver : rows) {
        Json changed = row.input;
        changed.as_object()[each.column] = giver.input.at(each.column);
        share += right(*predictor, row, changed) / 120;
      }
      expected += share / 120;
      deviation += share * (1 - share) / (120.0 * 120.0 * kRepeats);
    }
    deviation = std::sqrt(deviation);
    EXPECT_NEAR(each.worse.value, plain - expected, 4 * deviation + 1e-9) << each.column;
    if (each.column == "c") {
      EXPECT_EQ(each.worse.value, 0);
      continue;
    }
    EXPECT_GT(plain - expected, 0.1) << each.column;
    EXPECT_LT(each.worse.low, each.worse.value);
    EXPECT_GT(each.worse.low, 0.05);
  }
  EXPECT_EQ(importance[3].column, "c");
  for (size_t i = 1; i < 4; ++i) EXPECT_GE(importance[i - 1].worse.value, importance[i].worse.value);
}

// Wilson's interval of a share, from its definition.
std::pair<double, double> wilson(double p, double n) {
  const double z = 1.959963984540054, middle = (p + z * z / (2 * n)) / (1 + z * z / n),
               half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {middle - half, middle + half};
}

// A score of 2 a; "yes" where a > 0, but of the old in the country every second row is the other.
Rows two_columns(size_t n) {
  Random random(17);
  Rows rows;
  for (size_t i = 0; i < n; ++i) {
    const double a = random.normal();
    const bool old = random.below(3) == 0, country = random.below(2) == 0;
    const bool turned = random.uniform() < (old && country ? 0.5 : 0.08);
    rows.push_back(
        {.id = std::to_string(i),
         .input =
             JsonObject{{"a", a}, {"age", old ? "old" : "young"}, {"place", country ? "country" : "town"}},
         .label = (a > 0) != turned ? "yes" : "no",
         .target = {}});
  }
  return rows;
}

std::unique_ptr<Predictor> judge_of_a(const Path& folder, const Rows& rows) {
  const auto encoder = TableEncoder::learn({}, rows).value();
  std::vector<float> weights(static_cast<size_t>(encoder->n_features()));
  weights[0] = 2;
  EXPECT_EQ(encoder->origin(JsonObject(), 0), "a");
  return model_of(folder, *encoder,
                  {{"problem_type", "binary_classification"},
                   {"input_shape", JsonArray{encoder->n_features()}},
                   {"layers", JsonArray()},
                   {"id2label", {{"0", "no"}, {"1", "yes"}}}},
                  {{"head.weight", {1, encoder->n_features()}, weights}, {"head.bias", {1}, {0}}});
}

// Rows of a group that count for a figure, and how many of them do what it is the share of.
struct Share {
  double hits = 0, n = 0;
  double value() const { return hits / n; }
};

TEST(SlicesAgainstLoops, FiguresGapsAndIntervalsOfEveryGroup) {
  const testing::ScratchDir dir;
  const Rows rows = two_columns(600);
  const auto predictor = judge_of_a(dir.path(), rows);
  constexpr double kThreshold = 0.35;
  EvalReport report;
  ASSERT_TRUE(add_slices(*predictor, rows, std::vector<std::string>{"age", "place"}, kThreshold, report));
  const JsonObject& json = section_of(report, "fairness").json;
  for (const char* column : {"age", "place"}) {
    std::map<std::string, std::map<std::string, Share>> shares;  // by figure and group
    for (const TaskRow& row : rows) {
      const bool positive = predictor->predict({&row.input, 1}).value()[0].probabilities[1] >= kThreshold;
      const bool truly = row.label == "yes";
      const std::string group(row.input.at(column).as_string());
      const auto count = [&](const char* figure, bool hit) {
        shares[figure][group].n += 1;
        shares[figure][group].hits += hit ? 1 : 0;
      };
      count("accuracy", positive == truly);
      count("positive_share", positive);                                      // demographic parity
      count(truly ? "true_positive_rate" : "false_positive_rate", positive);  // equalised odds
    }
    ASSERT_EQ(shares.size(), 4U);
    for (const auto& [figure, groups] : shares) {
      ASSERT_EQ(groups.size(), 2U);
      const Json& of = json.at(column).at(figure);
      for (const auto& [group, share] : groups) {
        const Json& given = of.at("groups").at(group);
        EXPECT_EQ(number(given, "rows"), share.n) << figure << group;
        EXPECT_NEAR(number(given, "value"), share.value(), 1e-12) << figure << group;
        const auto [low, high] = wilson(share.value(), share.n);
        EXPECT_NEAR(end_of(given, 0), low, 1e-9) << figure << group;
        EXPECT_NEAR(end_of(given, 1), high, 1e-9) << figure << group;
      }
      const auto less = [](const auto& x, const auto& y) { return x.second.value() < y.second.value(); };
      const auto& [lowest, l] = *std::ranges::min_element(groups, less);
      const auto& [highest, h] = *std::ranges::max_element(groups, less);
      EXPECT_EQ(of.at("highest").as_string(), highest);
      EXPECT_EQ(of.at("lowest").as_string(), lowest);
      // Newcombe (1998), method 10.
      const double d = h.value() - l.value();
      const auto [l_low, l_high] = wilson(l.value(), l.n);
      const auto [h_low, h_high] = wilson(h.value(), h.n);
      EXPECT_NEAR(number(of.at("difference"), "value"), d, 1e-12);
      EXPECT_NEAR(end_of(of.at("difference"), 0), d - std::hypot(h.value() - h_low, l_high - l.value()),
                  1e-9);
      EXPECT_NEAR(end_of(of.at("difference"), 1), d + std::hypot(h_high - h.value(), l.value() - l_low),
                  1e-9);
    }
  }
}

TEST(SlicesAgainstLoops, TheWorstOfAllSlicesIsFoundByItself) {
  const testing::ScratchDir dir;
  const Rows rows = two_columns(600);
  const auto predictor = judge_of_a(dir.path(), rows);
  EvalReport report;
  ASSERT_TRUE(add_slices(*predictor, rows, std::vector<std::string>{"age", "place"}, 0.5, report));
  std::map<std::string, std::pair<Share, Share>> slices;  // the slice and all others
  for (const char* age : {"old", "young", "*"})
    for (const char* place : {"country", "town", "*"}) {
      const bool by_age = *age != '*', by_place = *place != '*';
      if (!by_age && !by_place) continue;
      std::string name = by_age ? fmt::format("age = {}", age) : "";
      if (by_place) name += fmt::format("{}place = {}", by_age ? ", " : "", place);
      for (const TaskRow& row : rows) {
        const bool inside = (!by_age || row.input.at("age").as_string() == age) &&
                            (!by_place || row.input.at("place").as_string() == place);
        Share& share = inside ? slices[name].first : slices[name].second;
        share.n += 1;
        share.hits += right(*predictor, row, row.input);
      }
    }
  const JsonArray& given = section_of(report, "worst_slices").json.at("slices").as_array();
  ASSERT_EQ(given.size(), slices.size());
  EXPECT_EQ(given[0].at("name").as_string(), "age = old, place = country");
  EXPECT_LT(number(given[0], "adjusted_p"), 1e-6);
  double before = 0;
  for (const Json& slice : given) {
    const auto found = slices.find(std::string(slice.at("name").as_string()));
    ASSERT_NE(found, slices.end()) << slice.at("name").as_string();
    const auto& [inside, others] = found->second;
    EXPECT_EQ(number(slice, "rows"), inside.n);
    EXPECT_NEAR(number(slice.at("score"), "value"), inside.value(), 1e-12);
    EXPECT_NEAR(number(slice, "rest"), others.value(), 1e-12);
    EXPECT_GE(inside.value(), before);  // the lowest first
    before = inside.value();
    // Welch's statistic; with so many rows the normal distribution is near Student's.
    const auto variance = [](const Share& s) { return s.value() * (1 - s.value()) / (s.n - 1); };
    const double t =
        std::abs(inside.value() - others.value()) / std::sqrt(variance(inside) + variance(others));
    EXPECT_NEAR(number(slice, "p_value"), std::erfc(t / std::sqrt(2.0)), 0.01);
  }
}

// Exact two-sided p-value of McNemar's test: a fair coin for each row that changed its side.
double mcnemar_p(int only_first, int only_second) {
  const int n = only_first + only_second, k = std::min(only_first, only_second);
  double sum = 0, term = std::pow(0.5, n);
  for (int i = 0; i <= k; ++i) {
    sum += term;
    term = term * (n - i) / (i + 1);
  }
  return std::min(1.0, 2 * sum);
}

// Every figure of the section, from the changes of input_changes() applied and asked one by one.
void expect_robustness_of_loops(Predictor& predictor, const Rows& rows, std::vector<std::string>* unharmed) {
  constexpr uint64_t kSeed = 3;
  EvalReport report;
  ASSERT_TRUE(add_robustness(predictor, rows, {.seed = kSeed}, report));
  const JsonObject& json = section_of(report, "robustness").json;
  double plain = 0;
  for (const TaskRow& row : rows) plain += right(predictor, row, row.input);
  const auto n = static_cast<double>(rows.size());
  EXPECT_NEAR(number(json.at("plain"), "value"), plain / n, 1e-12);
  std::vector<std::pair<double, std::string>> p_values;
  const auto all_changes = input_changes(predictor.encoder()).value();
  for (const InputChange& change : all_changes) {
    double changed = 0;
    int n_changed = 0, lost = 0, won = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      Random random(hash64(change.name, kSeed) + i);
      const Json input = change.apply(rows[i].input, random).value();
      const double before = right(predictor, rows[i], rows[i].input),
                   after = right(predictor, rows[i], input);
      n_changed += input == rows[i].input ? 0 : 1;
      lost += before > after ? 1 : 0;
      won += before < after ? 1 : 0;
      changed += after;
    }
    const Json* given = json_find(json.at("changes"), change.name);
    ASSERT_EQ(given == nullptr, n_changed == 0) << change.name;
    if (given == nullptr) continue;
    EXPECT_EQ(number(*given, "rows_changed"), n_changed) << change.name;
    EXPECT_NEAR(number(given->at("changed"), "value"), changed / n, 1e-12) << change.name;
    EXPECT_NEAR(number(given->at("difference"), "value"), (won - lost) / n, 1e-12) << change.name;
    EXPECT_LE(end_of(given->at("difference"), 0), (won - lost) / n + 1e-12);
    EXPECT_GE(end_of(given->at("difference"), 1), (won - lost) / n - 1e-12);
    p_values.emplace_back(mcnemar_p(lost, won), change.name);
    if (lost + won == 0) unharmed->push_back(change.name);
  }
  // Holm: the smallest p-value times their number, the next times one less, never below the one before.
  std::ranges::sort(p_values);
  double least = 0;
  for (size_t i = 0; i < p_values.size(); ++i) {
    least = std::max(least, std::min(1.0, p_values[i].first * static_cast<double>(p_values.size() - i)));
    EXPECT_NEAR(number(json.at("changes").at(p_values[i].second), "adjusted_p"), least, 1e-9)
        << p_values[i].second;
  }
}

// Adds up its words: "good" counts one, "bad" minus one.
std::unique_ptr<Predictor> reader(const Path& folder, const Rows& rows) {
  const auto encoder =
      kTextTask.learn(JsonObject{{"train", "unused.csv"}, {"max_length", 64}}, JsonObject(), ".", rows)
          .value();
  const auto id_of = [&](const char* word) {
    return static_cast<size_t>(encoder->encode(JsonObject{{"text", word}}).value().tokens.at(1));
  };
  Tensor words{"layers.0.weight", {encoder->n_vocab(), 1}, {}};
  words.values.resize(static_cast<size_t>(encoder->n_vocab()));
  words.values[id_of("good")] = 1;
  words.values[id_of("bad")] = -1;
  JsonObject config{{"problem_type", "binary_classification"},
                    {"vocab_size", encoder->n_vocab()},
                    {"max_position_embeddings", 64},
                    {"pad_token_id", 0},
                    {"id2label", {{"0", "down"}, {"1", "up"}}}};
  config["layers"] = parse_json(R"([{"type":"embedding","units":1},{"type":"mean_rows"}])").value();
  return model_of(folder, *encoder, config,
                  {words, {"head.weight", {1, 1}, {20}}, {"head.bias", {1}, {-0.01F}}});
}

Rows reviews(size_t n) {
  Random random(23);
  const std::vector<std::string> others{"the", "film", "was", "very", "and", "a", "story"};
  Rows rows;
  for (size_t i = 0; i < n; ++i) {
    const bool up = random.below(2) == 0;
    std::string text = "The";
    const size_t at = random.below(6);
    for (size_t w = 0; w < 6; ++w) text += " " + (w == at ? up ? "good" : "bad" : others[random.below(7)]);
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"text", text}},
                    .label = (i % 10 == 0) != up ? "up" : "down",  // every tenth is wrong
                    .target = {}});
  }
  return rows;
}

TEST(RobustnessAgainstLoops, OfAReaderThatAddsUpWords) {
  const testing::ScratchDir dir;
  const Rows rows = reviews(150);
  const auto predictor = reader(dir.path(), rows);
  std::vector<std::string> unharmed;
  expect_robustness_of_loops(*predictor, rows, &unharmed);
  // Case, blanks and order are nothing to it; typos and look-alike letters make other words of its words, a
  // long text before them leaves them no room.
  EXPECT_THAT(unharmed, ::testing::UnorderedElementsAre("upper-case", "lower-case", "random-case",
                                                        "white-space", "word-swap"));
  EvalReport report;
  ASSERT_TRUE(add_robustness(*predictor, rows, {}, report));
  const Json& changes = section_of(report, "robustness").json.at("changes");
  const double downs = static_cast<double>(std::ranges::count(rows, "down", &TaskRow::label)) / 150;
  for (const char* name : {"empty", "long"})  // nothing speaks for "up"
    EXPECT_NEAR(number(changes.at(name).at("changed"), "value"), downs, 1e-12) << name;
  for (const char* name : {"typos", "homoglyphs"})
    EXPECT_LT(number(changes.at(name).at("difference"), "value"), 0) << name;
}

TEST(RobustnessAgainstLoops, OfATable) {
  const testing::ScratchDir dir;
  const Rows rows = three_classes(150);
  std::vector<std::string> unharmed;
  expect_robustness_of_loops(*judge_of_three(dir.path(), rows), rows, &unharmed);
  EXPECT_TRUE(unharmed.empty());
}

TEST(InputChangesAgainstLoops, AnOutlierIsTenRangesBeyondTheTrainingRowsAndNoiseATenth) {
  const Rows rows = three_classes(200);
  const auto encoder = TableEncoder::learn({}, rows).value();
  std::map<std::string, std::pair<double, double>> ends;
  for (const char* name : {"a", "b", "c"}) {
    ends[name] = {1e9, -1e9};
    for (const TaskRow& row : rows) {
      ends[name].first = std::min(ends[name].first, number(row.input, name));
      ends[name].second = std::max(ends[name].second, number(row.input, name));
    }
  }
  const auto changes = input_changes(*encoder).value();
  const auto find = [&](const char* name) { return *std::ranges::find(changes, name, &InputChange::name); };
  Random random(4);
  std::map<std::string, int> hit;
  std::map<std::string, double> squares;
  for (const TaskRow& row : rows) {
    const Json outlier = find("an outlier in each row").apply(row.input, random).value();
    const Json noisy = find("noisy numbers").apply(row.input, random).value();
    EXPECT_EQ(outlier.at("colour"), row.input.at("colour"));
    for (const auto& [name, range] : ends) {
      const double width = range.second - range.first;
      if (number(outlier, name.c_str()) != number(row.input, name.c_str())) {
        EXPECT_NEAR(number(outlier, name.c_str()), range.second + 10 * width, 1e-9);
        ++hit[name];
      }
      squares[name] +=
          std::pow((number(noisy, name.c_str()) - number(row.input, name.c_str())) / width, 2) / 200;
    }
  }
  EXPECT_EQ(hit["a"] + hit["b"] + hit["c"], 200);  // one in each row
  for (const auto& [name, n] : hit) EXPECT_NEAR(n, 200.0 / 3, 25) << name;
  for (const auto& [name, square] : squares) EXPECT_NEAR(std::sqrt(square), 0.1, 0.02) << name;
  EXPECT_EQ(std::ranges::count(changes, "empty", &InputChange::name), 0);
  EXPECT_THAT(encoder->encode(JsonObject()).error().message, ::testing::HasSubstr("every field is missing"));
}

TEST(InputChangesAgainstLoops, ColouredPicturesAreShiftedBlurredAndNoisy) {
  Random random(6);
  Image image{.width = 9, .height = 7, .channels = 3};
  for (int i = 0; i < 9 * 7 * 3; ++i) image.pixels.push_back(static_cast<uint8_t>(60 + random.below(130)));
  const Json input = image_input(encode_png(image).value());
  const Rows rows{{.input = input, .label = "a", .target = {}}};
  const auto encoder = ImageEncoder::learn({}, rows).value();
  const auto pixel = [&](int x, int y, int c) {
    x = std::clamp(x, 0, 8);
    y = std::clamp(y, 0, 6);
    return static_cast<int>(image.pixels[static_cast<size_t>((y * 9 + x) * 3 + c)]);
  };
  const auto changes = input_changes(*encoder).value();
  const auto changed = [&](const char* name) {
    const auto found = std::ranges::find(changes, name, &InputChange::name);
    return image_of(found->apply(input, random).value()).value();
  };
  const Image blurred = changed("blurred"), noisy = changed("noisy pixels");
  const Image shifted = changed("shifted by 2 pixels");
  int fits = 0;
  for (const auto& [dx, dy] : {std::pair{2, 0}, {-2, 0}, {0, 2}, {0, -2}}) {
    bool same = true;
    for (int y = 0; y < 7; ++y)
      for (int x = 0; x < 9; ++x)
        for (int c = 0; c < 3; ++c)
          same = same && shifted.pixels[static_cast<size_t>((y * 9 + x) * 3 + c)] == pixel(x - dx, y - dy, c);
    fits += same ? 1 : 0;
  }
  EXPECT_EQ(fits, 1);
  double squares = 0;
  const int weights[3] = {1, 2, 1};
  for (int y = 0; y < 7; ++y)
    for (int x = 0; x < 9; ++x)
      for (int c = 0; c < 3; ++c) {
        const auto at = static_cast<size_t>((y * 9 + x) * 3 + c);
        int sum = 0;
        for (int dy = 0; dy < 3; ++dy)
          for (int dx = 0; dx < 3; ++dx) sum += weights[dx] * weights[dy] * pixel(x + dx - 1, y + dy - 1, c);
        EXPECT_EQ(blurred.pixels[at], std::lround(sum / 16.0));
        squares += std::pow(noisy.pixels[at] - pixel(x, y, c), 2) / (9 * 7 * 3);
      }
  EXPECT_NEAR(std::sqrt(squares), 25.5, 4);  // a tenth of white
}

}  // namespace
}  // namespace volant
