// A kind of prediction (images, tables, texts): how its rows are read from users' files, and how an input
// becomes what a model reads. One folder of this room for each kind; everything else asks this door.
//
// A row is the same JSON everywhere, in files, requests and corrections:
//   {"id": "17", "input": {...}, "label": "cat"}     classes
//   {"id": "17", "input": {...}, "target": 3.5}      numbers
// and may say "weight" (how much it counts, 1), "group" and "time" (for splits). "input" is the kind's own:
//   image  {"image": "data:image/png;base64,..."}    PNG or JPEG
//   table  {"age": 39, "workclass": "State-gov"}     a field for each column; null or absent: missing
//   text   {"text": "...", "text_pair": "..."}       the pair is optional
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "base/result.h"
#include "io/file.h"

namespace volant {

struct TaskRow {
  std::string id = {};
  Json input = {};
  std::string label = {};             // of classes
  std::optional<double> target = {};  // of numbers
  double weight = 1;
  std::string group = {}, time = {};  // empty: none
};

// kParse names the field. A row without label and target is fine: it asks. Both is an error.
Result<TaskRow> parse_task_row(const Json& row);
Json to_json(const TaskRow& row);

// What a model reads for one input: one of the two.
struct EncodedInput {
  std::vector<float> features = {};              // F numbers
  std::vector<int32_t> tokens = {}, types = {};  // ids; types as many, or empty
};

// A part of an input that can be taken away: a word, a patch of a picture, a column. For explanations by
// occlusion.
struct InputPart {
  std::string name = {};              // "film", "patch 4,8 4x4" (left, top, width, height), "age"
  std::vector<size_t> at = {};        // its features or tokens, ascending
  std::vector<float> otherwise = {};  // of features: what stands in their place, as many
};
inline constexpr size_t kMaxInputParts = 256;  // of an input; of longer texts each is several words
// The input without the part: tokens are left out, features become what stands in their place.
EncodedInput without(const EncodedInput& input, const InputPart& part);

// Turns inputs into what a model reads. Learned from the training rows alone, saved beside the model, so that
// trainer and server read the same bits. Thread safe.
class InputEncoder {
 public:
  virtual ~InputEncoder() = default;
  // kInvalidArgument: what is wrong with the input, by field, in words for the one who sent it.
  virtual Result<EncodedInput> encode(const Json& input) const = 0;
  // Features of one input; 0: it gives tokens.
  virtual int64_t n_features() const = 0;
  // Ids that it gives are below; 0: it gives features.
  virtual int64_t n_vocab() const = 0;
  // [channels, height, width] of an image, [F] of anything else.
  virtual std::vector<int64_t> shape() const = 0;
  // The field of the input that feature or token `i` came from: "age", "pixel 3,14", a word. For
  // explanations.
  virtual std::string origin(const Json& input, int64_t i) const = 0;
  // The parts of an input, none of which share a feature or token. In the place of a patch stands the
  // background; of a number its mean, of a category its most frequent value. Errors as encode() has them.
  virtual Result<std::vector<InputPart>> parts(const Json& input) const = 0;
  // What a form for inputs needs: {"kind": "table", "fields": [{"name", "type": "number|category|text",
  // "values": [...], "example"}]}; {"kind": "image", "width", "height", "channels"}; {"kind": "text"}.
  virtual Json schema() const = 0;
  // Writes its files into a model's folder: encoder.json, and a tokenizer's files where it has one.
  virtual Status save(const Path& folder) const = 0;
};

// Changes a training example at random: shifted images, noisy numbers, swapped words.
class Augmenter {
 public:
  virtual ~Augmenter() = default;
  virtual EncodedInput operator()(const Json& input, const EncodedInput& encoded, Random& random) const = 0;
};

// `part`: "train", "validation" or "test" when the files say so; "all" when there are training files alone,
// from which everything else is to be split off. Without validation files, it is split off from "train".
using RowSink = std::function<Status(TaskRow row, const char* part)>;

struct Task {
  const char* name;     // "image"
  const char* summary;  // "pictures into classes"
  // Gives the rows of the files that `data` (the section [data] of volant.toml) names, paths relative to
  // `base`. Unknown keys are errors.
  Status (*read)(const Json& data, const Path& base, const RowSink& sink);
  // The files that read() opens, for digests.
  Result<std::vector<Path>> (*files)(const Json& data, const Path& base);
  // Learns the encoder. `model` is [model] of volant.toml: a text's tokenizer may come from "init_from".
  Result<std::unique_ptr<InputEncoder>> (*learn)(const Json& data, const Json& model, const Path& base,
                                                 std::span<const TaskRow> train);
  // The encoder of a finished model's folder.
  Result<std::unique_ptr<InputEncoder>> (*load)(const Path& folder);
  // `augment`: [train.augment]; kInvalidArgument names what it does not know.
  Result<std::unique_ptr<Augmenter>> (*augmenter)(const Json& augment, const InputEncoder& encoder);
};

// "image", "table", "text". Null when there is no such task.
const Task* find_task(std::string_view name);
std::span<const Task* const> tasks();
inline constexpr int64_t kEncoderVersion = 1;
// encoder.json of a folder: {"task": "image", "version": 1, ...}. `task` empty: any. kParse, kUnsupported.
Result<Json> read_encoder_json(const Path& folder, std::string_view task);
// The task whose encoder.json lies in the folder.
Result<std::unique_ptr<InputEncoder>> load_encoder(const Path& model_folder);

}  // namespace volant
