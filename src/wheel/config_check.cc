#include "wheel/config_check.h"

#include <algorithm>

#include "base/nearest.h"
#include "compress/format.h"
#include "data/prepare.h"
#include "wheel/launch.h"
#include "wheel/predict/evaluate_section.h"
#include "wheel/predict/train_section.h"

namespace volant {
namespace {

constexpr int64_t kQuantBlock = 32;

std::optional<ConfigConflict> check_model(const ModelSection& model, bool quantised) {
  const auto conflict = [](std::string message) { return ConfigConflict{"model", std::move(message)}; };
  if (model.hidden_size % model.num_attention_heads != 0) {
    return conflict(fmt::format("hidden_size {} is not a multiple of num_attention_heads {}",
                                model.hidden_size, model.num_attention_heads));
  }
  if (model.num_attention_heads % model.num_key_value_heads != 0) {
    return conflict(fmt::format("num_attention_heads {} is not a multiple of num_key_value_heads {}",
                                model.num_attention_heads, model.num_key_value_heads));
  }
  if ((model.hidden_size / model.num_attention_heads) % 2 != 0) {
    return conflict(
        fmt::format("hidden_size / num_attention_heads is {}, rotary positions need an even number",
                    model.hidden_size / model.num_attention_heads));
  }
  const auto is = [&](const char* name) { return model.architecture == name; };
  if (model.sliding_window > 0 && (is("gpt2") || is("llama") || is("qwen2") || is("qwen3")))
    return conflict(fmt::format("sliding_window: a {} has none", model.architecture));
  if (!model.tie_word_embeddings && model.architecture.starts_with("gemma"))
    return conflict(fmt::format("tie_word_embeddings: the head of a {} is always tied", model.architecture));
  if (quantised && (model.hidden_size % kQuantBlock != 0 || model.intermediate_size % kQuantBlock != 0)) {
    return conflict(
        fmt::format("hidden_size {} and intermediate_size {} must be multiples of {} for quantised formats",
                    model.hidden_size, model.intermediate_size, kQuantBlock));
  }
  return std::nullopt;
}

std::optional<ConfigConflict> check_launch(const std::string& launch) {
  const auto parsed = parse_launch(launch);
  if (parsed) return std::nullopt;
  return ConfigConflict{"train", "launch: " + parsed.error().message};
}

std::optional<ConfigConflict> check_predictions(const WorkspaceConfig& config) {
  const std::vector<std::string> known = {"f32", "f16", "bf16"};
  if (config.compress.formats.size() != 1 ||
      std::ranges::find(known, config.compress.formats[0]) == known.end())
    return ConfigConflict{"compress", "formats: expected one of f32, f16, bf16 for predictions"};
  if (const auto train = predict::training_settings(*config.predict); !train)
    return ConfigConflict{"train", train.error().message};
  if (const auto evaluation = predict::read_evaluation(*config.predict); !evaluation)
    return ConfigConflict{"evaluate", evaluation.error().message};
  return std::nullopt;
}

}  // namespace

Status check_source(const SourceSection& source) {
  if (source.name.empty())
    return fail(ErrorCode::kInvalidArgument, "[[collect.source]] expected name = \"...\"");
  if (source.name.size() > 100 || source.name.find_first_of("/@\n") != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument,
                "collect.source.name: expected a short name without '/', '@' or line ends");
  }
  if (source.paths.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "source '{}': expected paths = [\"...\"] with at least one pattern", source.name);
  }
  return {};
}

std::optional<ConfigConflict> find_conflict(const WorkspaceConfig& config) {
  if (config.predict) return check_predictions(config);
  if (auto conflict = check_launch(config.train.launch)) return conflict;
  if (config.prepare.min_chars > config.prepare.max_chars) {
    return ConfigConflict{"prepare", fmt::format("min_chars {} is above max_chars {}",
                                                 config.prepare.min_chars, config.prepare.max_chars)};
  }
  for (const std::string& code : config.prepare.languages) {
    if (!is_language_code(code)) {
      return ConfigConflict{"prepare",
                            fmt::format("languages: expected codes as \"en\" or \"zh\", got \"{}\"", code)};
    }
  }
  if (config.compress.formats.empty()) {
    return ConfigConflict{"compress", "formats: expected at least one, such as \"q8_0\""};
  }
  for (const std::string& format : config.compress.formats) {
    if (std::find(export_format_names().begin(), export_format_names().end(), format) ==
        export_format_names().end()) {
      return ConfigConflict{
          "compress",
          fmt::format(
              "formats: expected names that `volant compress --to` takes, such as q8_0, q4_K_M, bf16 or f32, got '{}'{}",
              format, did_you_mean(format, export_format_names()))};
    }
  }
  const auto& formats = config.compress.formats;
  const bool quantised = std::any_of(formats.begin(), formats.end(), [](const std::string& format) {
    return ExportFormat::from_name(format).value().quantised();
  });
  const bool anew = config.model.init_from.empty();
  if (auto conflict = anew ? check_model(config.model, quantised) : std::nullopt) return conflict;
  if (anew && config.train.max_seq_len > config.model.max_position_embeddings) {
    return ConfigConflict{"train",
                          fmt::format("max_seq_len {} is above model.max_position_embeddings {}",
                                      config.train.max_seq_len, config.model.max_position_embeddings)};
  }
  if (config.train.tokens_per_step < config.train.max_seq_len ||
      config.train.micro_batch_tokens < config.train.max_seq_len) {
    return ConfigConflict{
        "train",
        fmt::format("tokens_per_step {} and micro_batch_tokens {} must hold one max_seq_len {}",
                    config.train.tokens_per_step, config.train.micro_batch_tokens, config.train.max_seq_len)};
  }
  return std::nullopt;
}

}  // namespace volant
