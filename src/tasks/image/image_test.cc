// Pictures: the files of MNIST as documented, pictures that users send, and how they are changed for
// training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "tasks/image/idx.h"
#include "tasks/image/image_augmenter.h"
#include "tasks/image/image_encoder.h"
#include "tasks/image/image_task.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

struct PartRow {
  TaskRow row;
  std::string part;
};

Result<std::vector<PartRow>> rows_of(const Json& data, const Path& base) {
  std::vector<PartRow> rows;
  TRY(kImageTask.read(data, base, [&](TaskRow row, const char* part) -> Status {
    rows.push_back({std::move(row), part});
    return {};
  }));
  return rows;
}

std::string idx_of(const std::vector<uint32_t>& shape, const std::string& bytes) {
  std::string out{'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const uint32_t size : shape)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 255);
  return out + bytes;
}

Image grey(int64_t width, int64_t height, uint8_t value) {
  return {.width = width,
          .height = height,
          .channels = 1,
          .pixels = std::vector<uint8_t>(static_cast<size_t>(width * height), value)};
}

Json input_of(const Image& image) { return image_input(encode_png(image).value()); }

// Pictures with a bright square on black, of the given size.
std::vector<TaskRow> squares(int64_t side, int n) {
  std::vector<TaskRow> rows;
  for (int i = 0; i < n; ++i) {
    Image image = grey(side, side, 0);
    for (int64_t y = 2; y < side - 2; ++y)
      for (int64_t x = 2; x < side - 2; ++x)
        image.pixels[static_cast<size_t>(y * side + x)] = static_cast<uint8_t>(100 + 10 * i);
    rows.push_back({.id = std::to_string(i), .input = input_of(image), .label = "square"});
  }
  return rows;
}

TEST(Idx, GivesBytesAndSizes) {
  const IdxArray array = parse_idx(idx_of({2, 3}, "abcdef")).value();
  EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(array.bytes, "abcdef");
}

TEST(Idx, AFileThatIsNotWhatItsHeaderSaysIsRefused) {
  const std::string good = idx_of({2, 3}, "abcdef");
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(parse_idx(good.substr(0, n))) << n;
  EXPECT_FALSE(parse_idx(good + "g"));
  EXPECT_FALSE(parse_idx(idx_of({}, "")));
  EXPECT_FALSE(parse_idx(idx_of({0}, "")));
  EXPECT_FALSE(parse_idx(idx_of({1, 1, 1, 1, 1}, "a")));
  // Sizes whose product does not fit 64 bits.
  EXPECT_FALSE(parse_idx(idx_of({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "a")));
  std::string floats = good;
  floats[2] = 0x0D;
  EXPECT_EQ(parse_idx(floats).error().code, ErrorCode::kUnsupported);
}

TEST(ImageTask, MnistHasTheRowsThatItsSourceDocuments) {
  VOLANT_DATA_OR_SKIP(mnist, "datasets/mnist");
  const Json data = JsonObject{{"test_images", "t10k-images-idx3-ubyte.gz"},
                               {"test_labels", "t10k-labels-idx1-ubyte.gz"},
                               {"train_images", "t10k-images-idx3-ubyte.gz"},  // to be quick
                               {"train_labels", "t10k-labels-idx1-ubyte.gz"}};
  const auto rows = rows_of(data, mnist);
  ASSERT_TRUE(rows) << rows.error().to_string();
  ASSERT_EQ(rows->size(), 20'000U);
  EXPECT_EQ(rows->front().part, "train");
  EXPECT_EQ(rows->back().part, "test");
  const IdxArray images = read_idx(mnist / "t10k-images-idx3-ubyte.gz").value();
  EXPECT_EQ(images.shape, (std::vector<int64_t>{10'000, 28, 28}));
  // The bytes come back from the PNG as they were.
  for (const size_t i : {0U, 1U, 4711U, 9999U}) {
    const Image image = image_of((*rows)[i].row.input).value();
    EXPECT_EQ(std::string(image.pixels.begin(), image.pixels.end()), images.bytes.substr(i * 784, 784));
  }
  EXPECT_EQ((*rows)[0].row.label, "7");  // as published: 7, 2, 1, 0, 4
  EXPECT_EQ((*rows)[1].row.label, "2");
  std::map<std::string, int> counts;
  for (const PartRow& row : *rows) counts[row.row.label] += row.part == "test";
  EXPECT_EQ(counts["0"], 980);
  EXPECT_EQ(counts["1"], 1135);
  EXPECT_EQ(counts.size(), 10U);
  const IdxArray train = read_idx(mnist / "train-images-idx3-ubyte.gz").value();
  EXPECT_EQ(train.shape, (std::vector<int64_t>{60'000, 28, 28}));
}

TEST(ImageTask, FoldersNameTheLabels) {
  const testing::ScratchDir dir;
  for (const char* label : {"cat", "dog"})
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(write_file_atomic(dir / "train" / label / fmt::format("{}.png", i),
                                    encode_png(grey(4, 3, static_cast<uint8_t>(40 * i))).value()));
  ASSERT_TRUE(write_file_atomic(dir / "train/dog/x.JPG", encode_jpeg(grey(4, 3, 9)).value()));
  ASSERT_TRUE(write_file_atomic(dir / "train/dog/notes.txt", "no picture"));
  const Json data = JsonObject{{"format", "folders"}, {"train", "train"}};
  const auto rows = rows_of(data, dir.path());
  ASSERT_TRUE(rows) << rows.error().to_string();
  ASSERT_EQ(rows->size(), 7U);
  EXPECT_EQ(rows->front().part, "all");
  EXPECT_EQ(rows->front().row.id, "train/cat/0.png");
  EXPECT_EQ(rows->front().row.label, "cat");
  EXPECT_EQ(rows->back().row.label, "dog");
  EXPECT_EQ(image_of(rows->back().row.input)->height, 3);
  EXPECT_EQ(kImageTask.files(data, dir.path())->size(), 7U);
}

TEST(ImageTask, WrongSettingsAreNamed) {
  const auto message = [](const JsonObject& data) { return rows_of(data, "/nowhere").error().to_string(); };
  EXPECT_THAT(message({{"train_image", "a"}}), HasSubstr("did you mean 'train_images'"));
  EXPECT_THAT(message({{"train_images", "a"}}), HasSubstr("as many files of 'train_labels'"));
  EXPECT_THAT(message({{"format", "zip"}}), HasSubstr("\"idx\", \"folders\""));
  EXPECT_THAT(message({{"format", "folders"}}), HasSubstr("expected 'train'"));
  EXPECT_THAT(message({{"train_images", "a"}, {"train_labels", "b"}}), HasSubstr("/nowhere/a"));
}

TEST(ImageEncoder, ScalesByTheTrainingPicturesAlone) {
  const std::vector<TaskRow> rows = squares(8, 4);
  const auto encoder = ImageEncoder::learn({}, rows).value();
  EXPECT_EQ(encoder->shape(), (std::vector<int64_t>{1, 8, 8}));
  double sum = 0, squares_sum = 0;
  for (const TaskRow& row : rows) {
    const Image image = image_of(row.input).value();
    for (const uint8_t x : image.pixels) {
      sum += x / 255.0;
      squares_sum += x / 255.0 * x / 255.0;
    }
  }
  const double mean = sum / 256, deviation = std::sqrt(squares_sum / 256 - mean * mean);
  EXPECT_NEAR(encoder->mean(0), mean, 1e-6);
  EXPECT_NEAR(encoder->deviation(0), deviation, 1e-6);
  const EncodedInput encoded = encoder->encode(rows[2].input).value();
  const Image image = image_of(rows[2].input).value();
  for (size_t i = 0; i < 64; ++i)
    EXPECT_NEAR(encoded.features[i], (image.pixels[i] / 255.0 - mean) / deviation, 1e-5);
  EXPECT_EQ(encoder->origin(rows[2].input, 3 + 8 * 5), "pixel 3,5");
}

TEST(ImageEncoder, GivesTheSameBitsAfterSavingAndLoading) {
  const testing::ScratchDir dir;
  const std::vector<TaskRow> rows = squares(9, 3);
  const auto encoder = ImageEncoder::learn({.width = 7, .height = 7, .channels = 3}, rows).value();
  ASSERT_TRUE(encoder->save(dir.path()));
  const auto again = load_encoder(dir.path());
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ((*again)->encode(rows[1].input)->features, encoder->encode(rows[1].input)->features);
  EXPECT_EQ((*again)->schema(), encoder->schema());
  EXPECT_EQ((*again)->n_features(), 147);
}

TEST(ImageEncoder, TurnsAPhotographOfInkOnPaperRound) {
  const std::vector<TaskRow> rows = squares(8, 3);
  const auto encoder = ImageEncoder::learn({}, rows).value();
  EXPECT_EQ(encoder->background(), ImageEncoder::Background::kDark);
  Image paper = image_of(rows[1].input).value();
  const EncodedInput plain = encoder->encode(input_of(paper)).value();
  for (uint8_t& x : paper.pixels) x = static_cast<uint8_t>(255 - x);
  const EncodedInput turned = encoder->encode(input_of(paper)).value();
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(turned.features[i], plain.features[i], 1e-5);
}

TEST(ImageEncoder, KeepsProportionsAndFillsWithTheBorder) {
  Planes wide{.channels = 1, .height = 2, .width = 4, .values = {1, 1, 1, 1, 1, 1, 1, 1}};
  const Planes fitted = fit_into(wide, 4, 4);
  for (const float x : fitted.values) EXPECT_FLOAT_EQ(x, 1);
  // A picture that shrinks by two is the weighted mean of what a pixel covers, 1 3 3 1 of 8 along each axis.
  Planes ramp{.channels = 1, .height = 1, .width = 8, .values = {0, 1, 2, 3, 4, 5, 6, 7}};
  const Planes half = resize(ramp, 1, 4);
  EXPECT_NEAR(half.values[1], 2.5, 1e-6);
  EXPECT_NEAR(half.values[2], 4.5, 1e-6);
  // And grows by bilinear interpolation between the centres.
  const Planes twice = resize(Planes{.channels = 1, .height = 1, .width = 2, .values = {0, 1}}, 1, 4);
  EXPECT_THAT(twice.values, ::testing::ElementsAre(0, 0.25F, 0.75F, 1));
}

TEST(ImageEncoder, BadPicturesAreAnsweredInWords) {
  const auto encoder = ImageEncoder::learn({}, squares(8, 2)).value();
  const auto message = [&](const Json& input) {
    const auto encoded = encoder->encode(input);
    EXPECT_FALSE(encoded) << dump_json(input);
    return encoded ? "" : encoded.error().message;
  };
  EXPECT_THAT(message(Json("x")), HasSubstr("data:image/png;base64"));
  EXPECT_THAT(message(JsonObject{{"image", 3}}), HasSubstr("data:image/png;base64"));
  EXPECT_THAT(message(JsonObject{{"picture", "x"}}), HasSubstr("unknown field 'picture'"));
  EXPECT_THAT(message(JsonObject{{"image", "data:text/plain;base64,AAAA"}}), HasSubstr("got \"data:text"));
  EXPECT_THAT(message(JsonObject{{"image", "data:image/png;base64,AAAA"}}),
              HasSubstr("expected a PNG or JPEG"));
  EXPECT_THAT(message(JsonObject{{"image", "data:image/png;base64,*"}}), HasSubstr("cannot be read"));
}

TEST(ImageEncoder, PicturesOfSeveralSizesNeedOneToBeNamed) {
  std::vector<TaskRow> rows = squares(8, 1);
  rows.push_back(squares(9, 1)[0]);
  EXPECT_THAT(ImageEncoder::learn({}, rows).error().message, HasSubstr("set width and height"));
  EXPECT_EQ(ImageEncoder::learn({.width = 5, .height = 6}, rows).value()->shape(),
            (std::vector<int64_t>{1, 6, 5}));
}

class Augmented : public ::testing::Test {
 protected:
  EncodedInput run(const ImageAugmentation& how, uint64_t seed = 1) const {
    Random random(seed);
    return ImageAugmenter(*encoder_, how)({}, encoded_, random);
  }
  static float at(const EncodedInput& image, int64_t x, int64_t y) {
    return image.features[static_cast<size_t>(y * 21 + x)];
  }
  std::vector<TaskRow> rows_ = squares(21, 2);
  std::unique_ptr<ImageEncoder> encoder_ = ImageEncoder::learn({}, rows_).value();
  // One bright pixel off the middle.
  EncodedInput encoded_ = [] {
    EncodedInput out{.features = std::vector<float>(441)};
    out.features[10 * 21 + 14] = 1;
    return out;
  }();
};

TEST_F(Augmented, NothingAskedForChangesNothing) { EXPECT_EQ(run({}).features, encoded_.features); }

TEST_F(Augmented, AShiftMovesTheWeightOfThePicture) {
  double most = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const EncodedInput moved = run({.shift = 3}, seed);
    double sum = 0, x_mean = 0;
    for (int64_t y = 0; y < 21; ++y)
      for (int64_t x = 0; x < 21; ++x) {
        sum += at(moved, x, y);
        x_mean += at(moved, x, y) * static_cast<double>(x);
      }
    EXPECT_NEAR(sum, 1, 1e-4);  // bilinear reading keeps it
    EXPECT_LE(std::abs(x_mean / sum - 14), 3.0001);
    most = std::max(most, std::abs(x_mean / sum - 14));
  }
  EXPECT_GT(most, 2);
}

TEST_F(Augmented, ARotationKeepsTheDistanceFromTheMiddle) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const EncodedInput turned = run({.rotate = 180}, seed);
    double sum = 0, x_mean = 0, y_mean = 0;
    for (int64_t y = 0; y < 21; ++y)
      for (int64_t x = 0; x < 21; ++x) {
        sum += at(turned, x, y);
        x_mean += at(turned, x, y) * static_cast<double>(x - 10);
        y_mean += at(turned, x, y) * static_cast<double>(y - 10);
      }
    EXPECT_NEAR(std::hypot(x_mean / sum, y_mean / sum), 4, 0.4);
  }
}

TEST_F(Augmented, ElasticDisplacementsHaveTheDeviationThatIsAskedFor) {
  // A picture of its own x coordinate shows the displacement along x.
  std::vector<TaskRow> rows = squares(64, 1);
  const auto encoder = ImageEncoder::learn({}, rows).value();
  EncodedInput ramp{.features = std::vector<float>(64 * 64)};
  for (size_t i = 0; i < ramp.features.size(); ++i) ramp.features[i] = static_cast<float>(i % 64);
  const ImageAugmenter augmenter(*encoder, {.elastic = 1.5, .elastic_sigma = 3});
  double squares_sum = 0;
  int n = 0;
  Random random(5);
  for (int round = 0; round < 20; ++round) {
    const EncodedInput bent = augmenter({}, ramp, random);
    for (size_t y = 16; y < 48; ++y)
      for (size_t x = 16; x < 48; ++x, ++n) {
        const double moved = static_cast<double>(bent.features[y * 64 + x]) - static_cast<double>(x);
        squares_sum += moved * moved;
      }
  }
  EXPECT_NEAR(std::sqrt(squares_sum / n), 1.5, 0.15);
}

TEST_F(Augmented, NoiseIsInTheUnitOfPixels) {
  const EncodedInput noisy = run({.noise = 0.1});
  double squares_sum = 0;
  for (size_t i = 0; i < 441; ++i)
    squares_sum += std::pow(static_cast<double>(noisy.features[i] - encoded_.features[i]), 2);
  EXPECT_NEAR(std::sqrt(squares_sum / 441) * encoder_->deviation(0), 0.1, 0.02);
}

TEST_F(Augmented, TheSameSeedGivesTheSamePicture) {
  const ImageAugmentation all{
      .shift = 2, .rotate = 10, .scale = 0.1, .elastic = 1, .noise = 0.1, .flip = true};
  EXPECT_EQ(run(all, 3).features, run(all, 3).features);
  EXPECT_NE(run(all, 3).features, run(all, 4).features);
}

TEST_F(Augmented, UnknownSettingsAreNamed) {
  const auto made = kImageTask.augmenter(JsonObject{{"rotat", 3}}, *encoder_);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("did you mean 'rotate'"));
  EXPECT_FALSE(kImageTask.augmenter(JsonObject{{"rotate", 300}}, *encoder_));
  EXPECT_TRUE(kImageTask.augmenter(JsonObject{{"rotate", 30}, {"elastic", 1.4}}, *encoder_));
}

}  // namespace
}  // namespace volant
