#include "wheel/deploy.h"

#include "registry/audit.h"
#include "wheel/held_out.h"
#include "wheel/stages.h"

namespace volant {
namespace {

constexpr uint64_t kUnigramBytes = 8ULL << 20;
constexpr double kCompressionBudget = 0.02;  // bits per byte that the served format may cost

Result<double> bits_of(const Json& metrics) {
  const Json* bits = json_find(metrics, "bits_per_byte");
  if (bits == nullptr) return fail(ErrorCode::kParse, "expected 'bits_per_byte' in the evaluation report");
  return json_number(*bits, "value");
}

double bits_per_byte(const std::vector<DocumentScore>& scores) {
  double bits = 0, bytes = 0;
  for (const DocumentScore& score : scores) {
    bits += score.bits;
    bytes += static_cast<double>(score.bytes);
  }
  return bytes > 0 ? bits / bytes : 0;
}

// The version of a trained, evaluated and exported model.
Result<ModelVersion> describe_version(StageContext& context, const std::vector<DocumentScore>& scores) {
  ModelVersion version;
  version.run_id = context.inputs.at("train_run");
  version.dataset = context.inputs.at("rows");
  version.hf = context.inputs.at("hf");
  version.gguf = context.inputs.at("gguf");
  version.bytes = TRY(volant::file_size(TRY(context.input("gguf"))));
  version.parity = TRY(parse_json(TRY(read_file(TRY(context.input("parity"))))));
  Json metrics =
      metrics_of(TRY(parse_json(TRY(read_file(TRY(context.input("evaluation")) / "report.json")))));
  metrics.as_object()["served_bits_per_byte"] = bits_per_byte(scores);
  metrics.as_object()["report"] = context.inputs.at("evaluation");
  version.metrics = std::move(metrics);
  return version;
}

}  // namespace

GateConfig gate_config(const GateSection& section) {
  GateConfig config;
  config.max_bits_per_byte_increase = section.max_bits_per_byte_increase;
  config.min_documents = section.min_documents;
  return config;
}

Result<GateReport> run_gate(Workspace& workspace, const std::vector<DocumentScore>& scores,
                            const Path& rows) {
  const WorkspaceConfig& config = workspace.config();
  const auto documents = TRY(read_documents(rows / kTestRows, config.evaluate.max_documents));
  const auto production = TRY(alias_target(workspace.registry(), "production"));
  if (!production) {
    return compare_with_unigram(scores, texts_of(documents),
                                TRY(read_texts(rows / kTrainRows, kUnigramBytes)), gate_config(config.gate));
  }
  const ModelVersion version = TRY(find_version(workspace.registry(), *production));
  const Path model = TRY(version_model_path(workspace.registry(), version));
  const LanguageEvalReport report = TRY(evaluate_model(model, documents, {}));
  GateReport gate = compare_with_production(scores, report.documents, gate_config(config.gate));
  gate.figures.as_object()["compared_with"] = *production;
  return gate;
}

Result<Decision> decide(Workspace& workspace, const ModelVersion& version, const GateReport& gate,
                        const std::string& actor) {
  Registry& registry = workspace.registry();
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  TRY(set_version_gate(registry, version.version, to_json(gate)));
  Decision decision{version, gate.passed, gate.reasons};
  if (gate.passed) {
    TRY(promote(registry, version.version, {.actor = actor, .reason = "the gate passed"}));
  } else {
    TRY(append_audit(registry, actor, "refuse", version.version, to_json(gate)));
  }
  TRY(transaction.commit());
  decision.version = TRY(find_version(registry, version.version));
  return decision;
}

Result<Json> deploy_settings(Workspace& workspace, bool) { return to_json(workspace.config().gate); }

Result<StageResult> deploy_version(StageContext& context, const ModelVersion& described,
                                   const std::function<Result<GateReport>()>& gate_of) {
  Registry& registry = context.workspace.registry();
  const ModelVersion version = TRY(register_version(registry, described));
  StageResult result;
  result.names["version"] = version.version;
  if (TRY(alias_target(registry, "production")) == version.version) {
    result.names["decision"] = "promoted";
    result.detail = version.version + " is production";
    return result;
  }
  TRY(set_alias(registry, "candidate", version.version, "run", "trained by volant run"));
  const GateReport gate = TRY(gate_of());
  const Decision decision = TRY(decide(context.workspace, version, gate, "run"));
  result.names["decision"] = decision.promoted ? "promoted" : "refused";
  result.detail = decision.promoted ? fmt::format("{} passed the gate and became production", version.version)
                                    : fmt::format("{} was refused by the gate", version.version);
  result.summary = JsonObject{{"version", version.version}, {"gate", to_json(gate)}};
  if (decision.promoted) {
    // A model from scratch knows nothing of the corrections that were learned before: they are open again.
    TRY(registry.database().execute("UPDATE feedback SET state = 'new' WHERE state = 'used'"));
  }
  return result;
}

Result<StageResult> run_deploy(StageContext& context) {
  const auto scores = TRY(read_scores(TRY(context.input("scores"))));
  const ModelVersion version = TRY(describe_version(context, scores));
  return deploy_version(context, version, [&]() -> Result<GateReport> {
    GateReport gate = TRY(run_gate(context.workspace, scores, TRY(context.input("rows"))));
    const double cost = bits_per_byte(scores) - TRY(bits_of(version.metrics));
    add_condition(
        gate, cost <= kCompressionBudget,
        fmt::format("compression costs {:+.4f} bits per byte, {:.2f} is allowed", cost, kCompressionBudget));
    return gate;
  });
}

}  // namespace volant
