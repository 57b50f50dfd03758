#include "eval/predict/input_changes.h"

#include <algorithm>
#include <cmath>

#include "eval/robustness/perturb.h"
#include "io/image.h"
#include "tasks/image/image_encoder.h"

namespace volant {
namespace {

constexpr double kOutlierRanges = 10;  // how far beyond the training rows' range
constexpr double kNoiseShare = 0.1;    // deviation, of that range
constexpr double kFewGaps = 0.1, kManyGaps = 0.3;
constexpr int64_t kShift = 2;                                  // pixels
constexpr double kFewPixelNoise = 0.1, kMuchPixelNoise = 0.3;  // deviation, of white
constexpr size_t kLongCharacters = 5000;

// Texts.

Result<Json> changed_text(const Json& input, Perturbation kind, Random& random) {
  Json out = input;
  for (const char* field : {"text", "text_pair"}) {
    const std::string text = TRY(json_string_or(input, field, ""));
    if (text.empty()) continue;
    out.as_object()[field] =
        TRY(perturb(text, kind, {.seed = random.next(), .long_characters = kLongCharacters}));
  }
  return out;
}

std::vector<InputChange> text_changes(const InputEncoder& encoder) {
  std::vector<Perturbation> kinds{
      Perturbation::kTypos,      Perturbation::kUpperCase,   Perturbation::kLowerCase,
      Perturbation::kRandomCase, Perturbation::kWhiteSpace,  Perturbation::kHomoglyphs,
      Perturbation::kWordSwap,   Perturbation::kTraditional, Perturbation::kLong};
  if (encoder.encode(JsonObject{{"text", ""}})) kinds.push_back(Perturbation::kEmpty);
  std::vector<InputChange> changes;
  for (const Perturbation kind : kinds)
    changes.push_back({perturbation_name(kind), [kind](const Json& input, Random& random) {
                         return changed_text(input, kind, random);
                       }});
  return changes;
}

// Tables.

struct NumberField {
  std::string name;
  double minimum, maximum;
  // A constant column has a range, too.
  double range() const { return maximum > minimum ? maximum - minimum : std::max(std::abs(maximum), 1.0); }
};

bool has_number(const Json& input, const std::string& name) {
  const Json* value = json_find(input, name);
  return value != nullptr && value->is_number();
}

Result<Json> with_outlier(const Json& input, const std::vector<NumberField>& fields, Random& random) {
  std::vector<const NumberField*> present;
  for (const NumberField& field : fields)
    if (has_number(input, field.name)) present.push_back(&field);
  if (present.empty()) return input;
  const NumberField& field = *present[random.below(present.size())];
  Json out = input;
  out.as_object()[field.name] = field.maximum + kOutlierRanges * field.range();
  return out;
}

Result<Json> with_noise(const Json& input, const std::vector<NumberField>& fields, Random& random) {
  Json out = input;
  for (const NumberField& field : fields)
    if (has_number(input, field.name))
      out.as_object()[field.name] =
          json_find(input, field.name)->to_number<double>() + kNoiseShare * field.range() * random.normal();
  return out;
}

Result<Json> with_gaps(const Json& input, double share, Random& random) {
  if (!input.is_object() || input.get_object().empty())
    return fail(ErrorCode::kInvalidArgument, "expected the input to be an object with fields");
  JsonObject out;
  const size_t kept = random.below(input.get_object().size());
  size_t i = 0;
  for (const auto& field : input.get_object())
    if (i++ == kept || random.uniform() >= share) out[field.key()] = field.value();
  return Json(std::move(out));
}

Result<std::vector<InputChange>> table_changes(const Json& schema) {
  std::vector<NumberField> numbers;
  for (const Json& field : schema.at("fields").as_array())
    if (TRY(json_string(field, "type")) == "number")
      numbers.push_back({TRY(json_string(field, "name")), TRY(json_number_or(field, "minimum", 0)),
                         TRY(json_number_or(field, "maximum", 0))});
  std::vector<InputChange> changes;
  if (!numbers.empty()) {
    changes.push_back({"an outlier in each row", [numbers](const Json& input, Random& random) {
                         return with_outlier(input, numbers, random);
                       }});
    changes.push_back({"noisy numbers", [numbers](const Json& input, Random& random) {
                         return with_noise(input, numbers, random);
                       }});
  }
  for (const double share : {kFewGaps, kManyGaps})
    changes.push_back(
        {fmt::format("missing fields ({:.0f} %)", 100 * share),
         [share](const Json& input, Random& random) { return with_gaps(input, share, random); }});
  return changes;
}

// Pictures.

uint8_t pixel_at(const Image& image, int64_t x, int64_t y, int64_t c) {
  x = std::clamp<int64_t>(x, 0, image.width - 1);
  y = std::clamp<int64_t>(y, 0, image.height - 1);
  return image.pixels[static_cast<size_t>((y * image.width + x) * image.channels + c)];
}

// A picture whose pixels are `at(x, y, c)`, 0 to 255.
Image drawn(const Image& like, const std::function<double(int64_t, int64_t, int64_t)>& at) {
  Image out = like;
  size_t i = 0;
  for (int64_t y = 0; y < like.height; ++y)
    for (int64_t x = 0; x < like.width; ++x)
      for (int64_t c = 0; c < like.channels; ++c)
        out.pixels[i++] = static_cast<uint8_t>(std::clamp(std::lround(at(x, y, c)), 0L, 255L));
  return out;
}

Image shifted(const Image& image, Random& random) {
  constexpr int64_t kSteps[4][2] = {{kShift, 0}, {-kShift, 0}, {0, kShift}, {0, -kShift}};
  const auto& step = kSteps[random.below(4)];
  return drawn(image, [&](int64_t x, int64_t y, int64_t c) {
    return static_cast<double>(pixel_at(image, x - step[0], y - step[1], c));
  });
}

// Weights 1 2 1 along both axes.
Image blurred(const Image& image, Random&) {
  return drawn(image, [&](int64_t x, int64_t y, int64_t c) {
    double sum = 0;
    for (int64_t dy = -1; dy <= 1; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx)
        sum +=
            (dx == 0 ? 2 : 1) * (dy == 0 ? 2 : 1) * static_cast<double>(pixel_at(image, x + dx, y + dy, c));
    return sum / 16;
  });
}

Image with_noise(const Image& image, double deviation, Random& random) {
  return drawn(image, [&](int64_t x, int64_t y, int64_t c) {
    return static_cast<double>(pixel_at(image, x, y, c)) + 255 * deviation * random.normal();
  });
}

Image noisy(const Image& image, Random& random) { return with_noise(image, kFewPixelNoise, random); }
Image very_noisy(const Image& image, Random& random) { return with_noise(image, kMuchPixelNoise, random); }

std::vector<InputChange> picture_changes() {
  const auto change = [](const std::string& name, Image (*apply)(const Image&, Random&)) {
    return InputChange{name, [apply](const Json& input, Random& random) -> Result<Json> {
                         return image_input(TRY(encode_png(apply(TRY(image_of(input)), random))));
                       }};
  };
  return {change(fmt::format("shifted by {} pixels", kShift), shifted), change("blurred", blurred),
          change("noisy pixels", noisy), change("very noisy pixels", very_noisy)};
}

}  // namespace

Result<std::vector<InputChange>> input_changes(const InputEncoder& encoder) {
  const Json schema = encoder.schema();
  const std::string kind = TRY(json_string_or(schema, "kind", ""));
  if (kind == "text") return text_changes(encoder);
  if (kind == "table") return table_changes(schema);
  if (kind == "image") return picture_changes();
  return fail(ErrorCode::kUnsupported, "robustness: nothing is known of inputs of kind '{}'", kind);
}

}  // namespace volant
