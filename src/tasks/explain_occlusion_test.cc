// Occlusion: what is scored, against inputs that are changed by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "io/image.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "tasks/image/image_encoder.h"
#include "tasks/predictor.h"
#include "tasks/table/table_encoder.h"
#include "tasks/text/text_task.h"

namespace volant {
namespace {

// A model of `config` with random weights beside the encoder.
std::unique_ptr<Predictor> model_of(const Path& folder, const InputEncoder& encoder, JsonObject config) {
  EXPECT_TRUE(encoder.save(folder));
  config["model_type"] = "network";
  Random random(4);
  testing::write_random_model(folder, ModelConfig::from_json(config).value(), random);
  auto predictor = Predictor::load(folder, {.n_threads = 1});
  EXPECT_TRUE(predictor) << predictor.error().to_string();
  return std::move(predictor).value();
}

const JsonObject kTwo{{"problem_type", "binary_classification"}, {"id2label", {{"0", "no"}, {"1", "yes"}}}};

std::vector<Reason> reasons_of(Predictor& predictor, const Json& input, int32_t label) {
  auto reasons = predictor.explain(input, {.best = label}, ExplainMethod::kOcclusion);
  EXPECT_TRUE(reasons) << reasons.error().to_string();
  return std::move(reasons).value();
}

double output_of(Predictor& predictor, const EncodedInput& input) {
  return static_cast<double>(predictor.outputs({&input, 1}).value()[0]);
}

TEST(Occlusion, OfALinearModelIsWeightTimesDistanceFromTheUsual) {
  const testing::ScratchDir dir;
  std::vector<TaskRow> rows;
  for (const auto& [a, kind] : {std::pair{1.0, "x"}, {2.0, "y"}, {-4.0, "y"}, {7.0, "z"}, {4.0, "y"}})
    rows.push_back({.input = JsonObject{{"a", a}, {"kind", kind}}});
  const auto encoder = TableEncoder::learn({.min_count = 1}, rows).value();
  JsonObject config = kTwo;
  config["input_shape"] = JsonArray{encoder->n_features()};
  config["layers"] = JsonArray();
  const auto predictor = model_of(dir.path(), *encoder, config);
  const Checkpoint checkpoint = Checkpoint::open(dir.path()).value();
  const TensorView head = checkpoint.tensor("head.weight").value();
  std::vector<float> w(static_cast<size_t>(encoder->n_features()));
  to_f32(head.dtype, head.bytes.data(), std::ssize(w), w.data());
  ASSERT_EQ(w.size(), 5U);  // a, x, y, z, rare
  double squares = 0;
  for (const double a : {1.0, 2.0, -4.0, 7.0, 4.0}) squares += (a - 2) * (a - 2) / 5;
  const std::vector<Reason> reasons = reasons_of(*predictor, JsonObject{{"a", 5.0}, {"kind", "z"}}, 1);
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_EQ(reasons[0].feature, "a");
  EXPECT_NEAR(reasons[0].score, static_cast<double>(w[0]) * (5.0 - 2.0) / std::sqrt(squares), 1e-5);
  EXPECT_EQ(reasons[1].feature, "kind");
  EXPECT_NEAR(reasons[1].score, static_cast<double>(w[3]) - static_cast<double>(w[2]), 1e-5);
  // Against the first label it says the opposite, and what is as usual says nothing.
  EXPECT_NEAR(reasons_of(*predictor, JsonObject{{"a", 5.0}, {"kind", "z"}}, 0)[0].score, -reasons[0].score,
              1e-6);
  EXPECT_EQ(reasons_of(*predictor, JsonObject{{"a", 5.0}, {"kind", "y"}}, 1).size(), 1U);
}

Image random_picture(int64_t width, int64_t height, Random& random) {
  Image image{.width = width, .height = height, .channels = 3};
  for (int64_t i = 0; i < width * height * 3; ++i)
    image.pixels.push_back(static_cast<uint8_t>(random.below(256)));
  return image;
}

TEST(Occlusion, OfAPictureIsWhatIsLostWithBlackInThePlaceOfAPatch) {
  const testing::ScratchDir dir;
  Random random(9);
  std::vector<TaskRow> rows;
  for (int i = 0; i < 3; ++i)
    rows.push_back({.input = image_input(encode_png(random_picture(10, 9, random)).value())});
  const auto encoder = ImageEncoder::learn({}, rows).value();
  JsonObject config = kTwo;
  config["input_shape"] = JsonArray{3, 9, 10};
  config["layers"] =
      parse_json(R"([{"type":"conv","channels":4,"kernel":3},{"type":"relu"},{"type":"dense","units":5},
                     {"type":"tanh"}])")
          .value();
  const auto predictor = model_of(dir.path(), *encoder, config);
  const std::vector<Reason> reasons = reasons_of(*predictor, rows[1].input, 1);
  ASSERT_EQ(reasons.size(), 25U);  // of 2 x 2, the lowest row 2 x 1
  EXPECT_EQ(reasons[8].feature, "patch 6,2 2x2");
  EXPECT_EQ(reasons[24].feature, "patch 8,8 2x1");
  const double plain = output_of(*predictor, encoder->encode(rows[1].input).value());
  for (size_t i = 0; i < reasons.size(); ++i) {
    Image black = image_of(rows[1].input).value();
    const int64_t left = static_cast<int64_t>(i % 5) * 2, top = static_cast<int64_t>(i / 5) * 2;
    for (int64_t y = top; y < std::min<int64_t>(top + 2, 9); ++y)
      for (int64_t x = left; x < left + 2; ++x)
        for (int64_t c = 0; c < 3; ++c) black.pixels[static_cast<size_t>((y * 10 + x) * 3 + c)] = 0;
    const EncodedInput without_it = encoder->encode(image_input(encode_png(black).value())).value();
    EXPECT_NEAR(reasons[i].score, plain - output_of(*predictor, without_it), 1e-4) << reasons[i].feature;
  }
}

// The encoder of words that are learned from a few films.
std::unique_ptr<InputEncoder> films() {
  std::vector<TaskRow> rows;
  for (int i = 0; i < 30; ++i) {
    rows.push_back({.input = JsonObject{{"text", "a good film with unforgettable dancers"}}, .label = "1"});
    rows.push_back({.input = JsonObject{{"text", "a bad film about nothing"}}, .label = "0"});
  }
  return kTextTask.learn(JsonObject{{"train", "unused.csv"}, {"max_length", 1000}}, JsonObject(), ".", rows)
      .value();
}

std::unique_ptr<Predictor> reader_of(const Path& folder, const InputEncoder& encoder) {
  JsonObject config = kTwo;
  config["vocab_size"] = encoder.n_vocab();
  config["max_position_embeddings"] = 1000;
  config["pad_token_id"] = 0;
  config["layers"] = parse_json(R"([{"type":"embedding","units":6},{"type":"lstm","units":5},
                                    {"type":"mean_rows"}])")
                         .value();
  return model_of(folder, encoder, config);
}

TEST(Occlusion, OfATextIsWhatIsLostWithoutTheWord) {
  const testing::ScratchDir dir;
  const auto encoder = films();
  const auto predictor = reader_of(dir.path(), *encoder);
  const std::vector<std::string> words{"unforgettable", "dancing", "about", "nothing"};
  const auto text_without = [&](size_t left_out) {
    std::string text;
    for (size_t i = 0; i < words.size(); ++i)
      if (i != left_out) text += words[i] + " ";
    return Json(JsonObject{{"text", text}});
  };
  const Json whole = text_without(words.size());
  const std::vector<Reason> reasons = reasons_of(*predictor, whole, 1);
  ASSERT_EQ(reasons.size(), words.size());
  EXPECT_GT(encoder->encode(whole)->tokens.size(), words.size() + 2);  // some words are several tokens
  const double plain = output_of(*predictor, encoder->encode(whole).value());
  for (size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(reasons[i].feature, words[i]);
    EXPECT_NEAR(reasons[i].score, plain - output_of(*predictor, encoder->encode(text_without(i)).value()),
                1e-5);
  }
}

TEST(Occlusion, WordsOfALongTextAreTakenTogether) {
  const auto encoder = films();
  std::string text;
  for (int i = 0; i < 600; ++i) text += i % 2 == 0 ? "good " : "bad ";
  const auto parts = encoder->parts(JsonObject{{"text", text}}).value();
  EXPECT_EQ(parts.size(), 200U);
  EXPECT_EQ(parts[1].name, "bad good bad");
  EXPECT_EQ(parts[1].at.size(), 3U);
}

TEST(Occlusion, MethodsAreNamed) {
  EXPECT_EQ(explain_method_from_name("occlusion").value(), ExplainMethod::kOcclusion);
  EXPECT_EQ(explain_method_from_name("integrated_gradients").value(), ExplainMethod::kIntegratedGradients);
  EXPECT_FALSE(explain_method_from_name("lime"));
}

}  // namespace
}  // namespace volant
