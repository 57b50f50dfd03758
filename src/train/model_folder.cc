#include "train/model_folder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "base/log.h"
#include "base/random.h"
#include "io/safetensors.h"
#include "models/checkpoint.h"
#include "models/tensor_layout.h"
#include "text/tokenizer_config.h"
#include "train/objectives/classify.h"
#include "train/objectives/embed.h"
#include "train/objectives/predict_config.h"
#include "train/objectives/reward_model.h"

namespace volant {
namespace {

void fill_normal(std::span<float> values, double deviation, Random& random) {
  for (float& value : values) value = static_cast<float>(random.normal() * deviation);
}

Status fill_from_folder(const Path& folder, TorchModel& model) {
  const Checkpoint checkpoint = TRY(Checkpoint::open(folder));
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    const TensorView view = TRY(checkpoint.tensor(spec.name));
    if (view.count() != spec.count())
      return fail(ErrorCode::kParse, "tensor '{}' has {} numbers, expected {}", spec.name, view.count(),
                  spec.count())
          .at(folder.string());
    model.write(i, to_f32(view));
  }
  return {};
}

void fill_random(const ModelConfig& config, uint64_t seed, TorchModel& model) {
  Random random(seed);
  const double deviation = config.initializer_range;
  const double into_residual = deviation / std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers));
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    std::vector<float> numbers(static_cast<size_t>(spec.count()));
    switch (spec.init) {
      case TensorInit::kOne:
        std::fill(numbers.begin(), numbers.end(), 1.0F);
        break;
      case TensorInit::kZero:
        break;
      case TensorInit::kNormal:
        fill_normal(numbers, deviation, random);
        break;
      case TensorInit::kIntoResidual:
        fill_normal(numbers, into_residual, random);
        break;
      case TensorInit::kUniform:
        for (float& x : numbers) x = static_cast<float>((2 * random.uniform() - 1) * spec.bound);
        break;
    }
    model.write(i, numbers);
  }
}

// A new head on the body of a folder: what the folder has, by its name or without that of the body ("bert.");
// the rest is random, and said.
Status fill_below_new_head(const Path& folder, uint64_t seed, TorchModel& model) {
  const Checkpoint checkpoint = TRY(Checkpoint::open(folder));
  const std::vector<std::string> names = checkpoint.tensor_names();
  const auto has = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (model.adapter())
    return fail(
               ErrorCode::kUnsupported,
               "an adapter would leave the new head as random as it is: train the whole model, or freeze a part")
        .at(folder.string());
  fill_random(model.config(), seed, model);
  std::string fresh;
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    std::string name = spec.name;
    if (!has(name)) name = name.substr(name.find('.') + 1);
    if (has(name)) {
      const TensorView view = TRY(checkpoint.tensor(name));
      if (view.count() == spec.count()) {
        model.write(i, to_f32(view));
        continue;
      }
    }
    fresh += (fresh.empty() ? "" : ", ") + spec.name;
  }
  log_info("{} has no {}: random at first", folder.string(), fresh);
  return {};
}

DType dtype_of(const std::string& name) {
  return name == "bf16" ? DType::kBF16 : name == "f16" ? DType::kF16 : DType::kF32;
}

Status write_weights(const Path& file, const TorchModel& model, const std::string& dtype_name) {
  const DType dtype = dtype_of(dtype_name);
  static const std::map<DType, const char*> kWords = {
      {DType::kF32, "F32"}, {DType::kBF16, "BF16"}, {DType::kF16, "F16"}};
  std::map<std::string, SafetensorsEntry> tensors;
  std::vector<std::vector<std::byte>> buffers(model.tensors().size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    const TensorSpec& spec = model.tensors()[i];
    const std::vector<float> numbers = model.merged(i);
    const auto n = static_cast<int64_t>(numbers.size());
    buffers[i].resize(row_bytes(dtype, n));
    from_f32(dtype, numbers.data(), n, buffers[i].data());
    std::vector<int64_t> shape = spec.shape;
    if (spec.transposed) {
      buffers[i] = transposed({dtype, shape, buffers[i]});
      std::swap(shape[0], shape[1]);
    }
    tensors[spec.name] = {kWords.at(dtype), shape, buffers[i]};
  }
  return write_safetensors(file, tensors, {{"format", "pt"}});
}

Status write_tokenizer(const Path& to, const TrainJob& job, const Tokenizer& tokenizer) {
  TRY(copy_tokenizer_files(job.tokenizer, to));
  if (!std::filesystem::exists(to / "tokenizer.model") && !std::filesystem::exists(to / "tokenizer.json"))
    TRY(tokenizer.save(to));
  if (TRY(load_chat_template(to))) return {};
  JsonObject json = TRY(load_tokenizer_config(to)).json;
  json["chat_template"] = default_chat_template();
  return write_file_atomic(to / "tokenizer_config.json", dump_json_pretty(json));
}

Json generation_config(const TrainJob& job, const Tokenizer& tokenizer) {
  JsonObject json;
  const auto source = read_file(job.init_from / "generation_config.json");
  if (!job.init_from.empty() && source) {
    const auto parsed = parse_json(*source);
    if (parsed && parsed->is_object()) json = parsed->as_object();
  }
  if (tokenizer.bos_id() && !json.contains("bos_token_id")) json["bos_token_id"] = *tokenizer.bos_id();
  const std::vector<int32_t> stops = stop_ids(job, tokenizer);
  if (stops.size() == 1) json["eos_token_id"] = stops.front();
  if (stops.size() > 1) json["eos_token_id"] = JsonArray(stops.begin(), stops.end());
  return json;
}

}  // namespace

Result<ModelConfig> starting_config(const TrainJob& job, const Tokenizer* tokenizer) {
  if (job.objective == TrainJob::Objective::kPredict) return predict_config(job);
  const bool is_reward_model = job.objective == TrainJob::Objective::kRewardModel;
  if (!job.init_from.empty() && (is_reward_model || job.objective == TrainJob::Objective::kClassify)) {
    const Path file = job.init_from / "config.json";
    const Json config = TRY(parse_json(TRY(read_file(file))));
    if (!config.is_object()) return fail(ErrorCode::kParse, "expected an object").at(file.string());
    return ModelConfig::from_json(TRY(is_reward_model ? reward_model_config(config.as_object())
                                                      : classifier_config(job, config.as_object())));
  }
  if (!job.init_from.empty()) return TRY(Checkpoint::open(job.init_from)).config();
  JsonObject fields = job.model_config;
  const auto set_default = [&](const char* key, const Json& value) {
    if (!fields.contains(key)) fields[key] = value;
  };
  set_default("vocab_size", tokenizer->n_vocab());
  if (tokenizer->bos_id()) set_default("bos_token_id", *tokenizer->bos_id());
  const std::vector<int32_t> stops = stop_ids(job, *tokenizer);
  if (!stops.empty()) set_default("eos_token_id", JsonArray(stops.begin(), stops.end()));
  if (!fields.contains("architectures")) set_default("model_type", "llama");
  auto config = ModelConfig::from_json(fields);
  if (!config) return std::move(config).error().at("model.config");
  if (config->vocab_size < tokenizer->n_vocab())
    return fail(ErrorCode::kInvalidArgument, "vocab_size is {}, but the tokenizer has {} tokens",
                config->vocab_size, tokenizer->n_vocab())
        .at("model.config");
  return config;
}

Status fill_starting_weights(const TrainJob& job, TorchModel& model) {
  if (!job.init_from.empty()) {
    const ModelConfig old = TRY(Checkpoint::open(job.init_from)).config();
    const ModelConfig& now = model.config();
    const bool new_head = old.architecture != now.architecture || old.labels != now.labels;
    TRY(new_head ? fill_below_new_head(job.init_from, job.seed, model)
                 : fill_from_folder(job.init_from, model));
  } else {
    fill_random(model.config(), job.seed, model);
  }
  model.start_adapters(job.seed);
  return {};
}

Result<TorchModel> open_torch_model(const Path& folder, bool bf16) {
  const ModelConfig config = TRY(Checkpoint::open(folder)).config();
  TorchModel model =
      TRY(TorchModel::create(config, {.bf16 = bf16, .trains = [](const TensorSpec&) { return false; }}));
  TRY(fill_from_folder(folder, model));
  return model;
}

bool trains_in_bf16(const TrainJob& job) { return job.dtype != "f32" && torch_has_bf16(); }

Result<ChatTemplate> chat_template_of(const TrainJob& job) {
  return ChatTemplate::parse(TRY(load_chat_template(job.tokenizer)).value_or(default_chat_template()));
}

std::vector<int32_t> stop_ids(const TrainJob& job, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  const auto add = [&](int64_t id) {
    const auto narrow = static_cast<int32_t>(id);
    if (id >= 0 && id < INT32_MAX && std::find(ids.begin(), ids.end(), narrow) == ids.end())
      ids.push_back(narrow);
  };
  if (!job.init_from.empty()) {
    const auto checkpoint = Checkpoint::open(job.init_from);
    if (checkpoint)
      for (const int32_t id : checkpoint->stop_ids()) add(id);
  }
  if (tokenizer.eos_id()) add(*tokenizer.eos_id());
  for (const char* turn_end : {"<|end|>", "<|im_end|>"})
    if (const auto id = tokenizer.token_id(turn_end); id && tokenizer.is_special(*id)) add(*id);
  return ids;
}

Status write_adapter_folder(const Path& to, const TrainJob& job, Adapter adapter, const ModelConfig& config) {
  adapter.base_model = job.init_from.string();
  return write_adapter(to, adapter, config);
}

Status write_model_folder(const Path& to, const TrainJob& job, const TorchModel& model,
                          const Tokenizer* tokenizer,
                          const std::function<Status(const Path& written)>& check) {
  const Path aside = partial_path(to);
  const auto write = [&]() -> Status {
    TRY(make_dirs(aside));
    JsonObject config = model.config().to_json().as_object();
    config["torch_dtype"] = job.save_dtype == "f32"    ? "float32"
                            : job.save_dtype == "bf16" ? "bfloat16"
                                                       : "float16";
    TRY(write_file_atomic(aside / "config.json", dump_json_pretty(config)));
    TRY(write_weights(aside / "model.safetensors", model, job.save_dtype));
    if (tokenizer != nullptr) {
      TRY(write_file_atomic(aside / "generation_config.json",
                            dump_json_pretty(generation_config(job, *tokenizer))));
      TRY(write_tokenizer(aside, job, *tokenizer));
    }
    if (job.objective == TrainJob::Objective::kEmbed)
      TRY(write_sentence_settings(aside,
                                  {.pooling = TRY(pooling_of(job, model.config())),
                                   .normalize = true,  // the loss is one of cosines
                                   .max_seq_length = job.max_seq_len},
                                  model.config().hidden_size));
    if (check) TRY(check(aside));
    TRY(volant::remove_all(to));
    return rename_into_place(aside, to);
  };
  Status done = write();
  if (!done) (void)volant::remove_all(aside);
  return done;
}

}  // namespace volant
