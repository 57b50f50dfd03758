// Train: a model from scratch in volant-train.
#include "text/tokenizer.h"
#include "wheel/launch.h"
#include "wheel/pretrained.h"
#include "wheel/stages.h"
#include "wheel/trainer.h"

namespace volant {
namespace {

constexpr int64_t kGemmaWindow = 512;  // of Gemma 3 1B

// config.json of the model to be, in Hugging Face's names; the trainer adds the ids of special tokens.
Json model_config(const ModelSection& model, const Tokenizer& tokenizer) {
  const bool is_gemma = model.architecture.starts_with("gemma");
  JsonObject json{{"model_type", model.architecture == "gemma3" ? "gemma3_text" : model.architecture.c_str()},
                  {"vocab_size", tokenizer.n_vocab()},
                  {"tie_word_embeddings", model.tie_word_embeddings},
                  {"torch_dtype", "float32"}};
  if (model.architecture == "gpt2") {
    json["n_embd"] = model.hidden_size;
    json["n_layer"] = model.num_hidden_layers;
    json["n_head"] = model.num_attention_heads;
    json["n_inner"] = model.intermediate_size;
    json["n_positions"] = model.max_position_embeddings;
    return json;
  }
  const int64_t head_dim = model.hidden_size / model.num_attention_heads;
  json["hidden_size"] = model.hidden_size;
  json["num_hidden_layers"] = model.num_hidden_layers;
  json["num_attention_heads"] = model.num_attention_heads;
  json["num_key_value_heads"] = model.num_key_value_heads;
  json["head_dim"] = head_dim;
  json["intermediate_size"] = model.intermediate_size;
  json["max_position_embeddings"] = model.max_position_embeddings;
  json["rope_theta"] = model.rope_theta;
  json["rms_norm_eps"] = model.rms_norm_eps;
  if (model.sliding_window > 0) json["sliding_window"] = model.sliding_window;
  if (is_gemma) {
    json["query_pre_attn_scalar"] = head_dim;
    if (model.sliding_window == 0) json["sliding_window"] = kGemmaWindow;
  }
  return json;
}

Result<Json> starting_model(const Workspace& workspace, const Path& tokenizer) {
  const ModelSection& model = workspace.config().model;
  if (!model.init_from.empty())
    return Json(
        JsonObject{{"init_from", TRY(pretrained_folder(workspace.path(), model.init_from)).string()}});
  return Json(JsonObject{{"config", model_config(model, *TRY(load_tokenizer(tokenizer)))}});
}

}  // namespace

Result<Json> train_settings(Workspace& workspace, bool cheap) {
  const WorkspaceConfig& config = workspace.config();
  const std::string& init_from = config.model.init_from;
  JsonObject train = to_json(config.train).as_object();
  for (const char* key : {"launch", "shard", "checkpoint_activations", "device"}) train.erase(key);
  return Json(JsonObject{{"model", init_from.empty() ? to_json(config.model)
                                                     : TRY(pretrained_settings(workspace, init_from, cheap))},
                         {"train", std::move(train)}});
}

Result<StageResult> run_train(StageContext& context) {
  const WorkspaceConfig& config = context.workspace.config();
  Registry& registry = context.workspace.registry();
  const Path tokenizer_dir = TRY(context.input("tokenizer"));
  const Json model = TRY(starting_model(context.workspace, tokenizer_dir));
  const Json job = pretrain_job(config, model, tokenizer_dir, TRY(context.input("shards")));
  const TrainedModel trained =
      TRY(run_trainer(run_dir(registry, context.run.id), job, {}, TRY(parse_launch(config.train.launch))));
  // A copy: the run's folder stays whole until the artifact is recorded.
  const Path folder = context.scratch / "model";
  TRY(copy_all(trained.folder, folder));
  StageResult result;
  result.products = {{"hf", "hf_model", folder}};
  result.names["train_run"] = context.run.id;
  result.summary = trained.summary;
  const Json& s = trained.summary;
  result.detail = fmt::format(
      "{:.1f} M parameters, {} steps, loss {:.2f}", json_number_or(s, "n_parameters", 0).value_or(0) / 1e6,
      json_int_or(s, "steps", 0).value_or(0), json_number_or(s, "loss", 0).value_or(0));
  return result;
}

}  // namespace volant
