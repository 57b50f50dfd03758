// Train: a model from scratch in volant-train.
#include "text/tokenizer.h"
#include "wheel/stages.h"
#include "wheel/trainer.h"

namespace volant {
namespace {

// config.json of the model to be, in Hugging Face's names; the trainer adds the ids of special tokens.
Json model_config(const ModelSection& model, const Tokenizer& tokenizer) {
  return JsonObject{{"architectures", JsonArray{Json("LlamaForCausalLM")}},
                    {"model_type", "llama"},
                    {"vocab_size", tokenizer.n_vocab()},
                    {"hidden_size", model.hidden_size},
                    {"num_hidden_layers", model.num_hidden_layers},
                    {"num_attention_heads", model.num_attention_heads},
                    {"num_key_value_heads", model.num_key_value_heads},
                    {"head_dim", model.hidden_size / model.num_attention_heads},
                    {"intermediate_size", model.intermediate_size},
                    {"max_position_embeddings", model.max_position_embeddings},
                    {"tie_word_embeddings", model.tie_word_embeddings},
                    {"rope_theta", model.rope_theta},
                    {"rms_norm_eps", model.rms_norm_eps},
                    {"hidden_act", "silu"},
                    {"attention_bias", false},
                    {"mlp_bias", false},
                    {"torch_dtype", "float32"}};
}

}  // namespace

Result<Json> train_settings(Workspace& workspace, bool) {
  return Json(
      JsonObject{{"model", to_json(workspace.config().model)}, {"train", to_json(workspace.config().train)}});
}

Result<StageResult> run_train(StageContext& context) {
  const WorkspaceConfig& config = context.workspace.config();
  Registry& registry = context.workspace.registry();
  const Path tokenizer_dir = TRY(context.input("tokenizer"));
  const auto tokenizer = TRY(load_tokenizer(tokenizer_dir));
  const Json model = JsonObject{{"config", model_config(config.model, *tokenizer)}};
  const Json job = pretrain_job(config, model, tokenizer_dir, TRY(context.input("shards")));
  const TrainedModel trained = TRY(run_trainer(run_dir(registry, context.run.id), job));
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
