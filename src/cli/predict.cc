// `volant predict`: classes or numbers for pictures, rows of a table, or texts.
#include <cstdio>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "io/jsonl.h"
#include "registry/resolve.h"
#include "tasks/image/image_encoder.h"
#include "tasks/prediction_json.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string model = "production", workspace = default_workspace();
  std::vector<std::string> inputs, texts, files;
  int n_threads = 0, nearest = 0;
  std::string explain = {};  // empty: no
};

// The rows of a file that is no picture by its name.
Result<std::vector<Json>> rows_of(const Path& file) {
  auto rows = read_jsonl(file);
  if (rows || rows.error().code != ErrorCode::kParse) return rows;
  Error error = std::move(rows).error();
  error.message += "; expected a picture (.png, .jpg) or JSON Lines";
  return error;
}

Result<std::vector<Json>> inputs_of(const Flags& flags) {
  std::vector<Json> inputs;
  for (const std::string& text : flags.inputs) {
    Result<Json> input = parse_json(text);
    if (!input) return std::move(input).error().at("--input");
    inputs.push_back(std::move(*input));
  }
  for (const std::string& text : flags.texts) inputs.push_back(JsonObject{{"text", text}});
  for (const std::string& name : flags.files) {
    if (is_picture(name)) {
      inputs.push_back(TRY(picture_input(name)));
      continue;
    }
    for (Json& row : TRY(rows_of(name))) {
      const Json* input = json_find(row, "input");
      inputs.push_back(input != nullptr ? *input : row);
    }
  }
  if (inputs.empty())
    return fail(ErrorCode::kInvalidArgument,
                "expected --input JSON, --text TEXT, or files (.png, .jpg, .jsonl)");
  return inputs;
}

Result<int> predict(const Flags& flags) {
  const std::vector<Json> inputs = TRY(inputs_of(flags));
  std::optional<ExplainMethod> method;
  if (!flags.explain.empty()) {
    const Result<ExplainMethod> named = explain_method_from_name(flags.explain);
    if (!named) return Error(named.error()).at("--explain");
    method = *named;
  }
  const auto predictor =
      TRY(Predictor::load(TRY(resolve_model(flags.workspace, flags.model)), {.n_threads = flags.n_threads}));
  const std::vector<Prediction> predictions = TRY(predictor->predict(inputs));
  for (size_t i = 0; i < inputs.size(); ++i) {
    Json line = to_json(predictions[i], *predictor);
    if (method)
      line.as_object()["explanation"] = to_json(TRY(predictor->explain(inputs[i], predictions[i], *method)));
    if (flags.nearest > 0)
      line.as_object()["nearest"] =
          to_json(TRY(predictor->nearest(inputs[i], static_cast<size_t>(flags.nearest))));
    std::printf("%s\n", dump_json(line).c_str());
  }
  return 0;
}

}  // namespace

void add_predict(CLI::App& root, Action& action) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command =
      root.add_subcommand("predict", "Classes or numbers for pictures, rows of tables, or texts");
  command->add_option(
      "files", flags->files,
      "Pictures (.png, .jpg), or JSON Lines with an input, or a row with \"input\", on each line");
  command->add_option("--model", flags->model, "A model's folder, or a version of the workspace")
      ->capture_default_str();
  command->add_option("-w,--workspace", flags->workspace, "Folder with volant.toml, for versions")
      ->capture_default_str();
  command->add_option("--input", flags->inputs, "An input as JSON; may be given several times");
  command->add_option("--text", flags->texts, "A text to classify; may be given several times");
  command->add_flag("--explain{integrated_gradients}", flags->explain,
                    "Say what in the input spoke for each prediction: by integrated gradients, or "
                    "--explain=occlusion: what is lost without each word, patch or column");
  command
      ->add_option("--nearest", flags->nearest,
                   "Also so many training examples that the model sees as most like the input")
      ->check(CLI::Range(0, 1000));
  command->add_option("--threads", flags->n_threads, "0: all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->footer(
      "Prints one line of JSON for each input: label, probability and probabilities, or value.\n\n"
      "Examples:\n"
      "  volant predict -w examples/digits seven.png\n"
      "  volant predict -w examples/reviews --text \"a film to remember\"\n"
      "  volant predict -w examples/income --input '{\"age\": 39, \"education\": \"Bachelors\"}'\n"
      "  volant predict -w examples/reviews --explain --text \"dull and far too long\"\n"
      "  volant predict -w examples/reviews --explain=occlusion --text \"dull and far too long\"\n"
      "  volant predict --model runs/mine/model rows.jsonl");
  command->callback([flags, &action] { action = [flags] { return predict(*flags); }; });
}

}  // namespace volant::cli
