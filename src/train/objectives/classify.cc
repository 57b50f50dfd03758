#include "train/objectives/classify.h"

#include <algorithm>
#include <optional>

#include "train/figures.h"
#include "train/interval.h"
#include "train/losses.h"
#include "train/objectives/label_rows.h"
#include "train/objectives/language.h"
#include "train/objectives/shares.h"
#include "train/row_order.h"

namespace volant {
namespace {

class ClassifyObjective final : public Objective {
 public:
  static Result<std::unique_ptr<Objective>> make(const ObjectiveContext& context);

  uint64_t n_examples() const override { return train_.size(); }
  uint64_t n_targets() const override { return n_labels(train_); }
  int64_t steps_of_an_epoch() override { return order_->steps_of_an_epoch(job_.tokens_per_step, size_of_); }
  Result<StepLoss> step(TorchModel& model) override;
  bool can_share() const override { return true; }
  bool can_evaluate() const override { return !validation_.empty(); }
  uint64_t n_validation_targets() const override { return n_labels(validation_); }
  Result<Evaluation> evaluate(TorchModel& model) override;
  Json state() const override { return order_->state(); }
  Status restore(const Json& state) override { return order_->restore(state); }
  std::vector<std::vector<Piece>> preview(int n_examples) const override;
  uint64_t activation_bytes(const ModelConfig& config) const override {
    return activation_bytes_of(config, job_.micro_batch_tokens);
  }

 private:
  ClassifyObjective(const ObjectiveContext& context)
      : job_(context.job),
        tokenizer_(*context.tokenizer),
        ranks_(context.ranks),
        labels_(context.config.labels) {}
  Result<std::vector<LabelExample>> read(const Path& file, const ModelConfig& config) const;
  static uint64_t n_labels(const std::vector<LabelExample>& examples);
  Status weigh();
  // Batches of at most micro_batch_tokens rows, and the labels of the rows that they read out.
  std::vector<std::pair<TextBatch, std::vector<int32_t>>> batches(
      const std::vector<const LabelExample*>& examples) const;

  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const Ranks& ranks_;
  std::vector<std::string> labels_;
  std::vector<LabelExample> train_, validation_;
  const RowOrder::RowSize size_of_ = [this](uint32_t row) { return std::ssize(train_[row].text.ids); };
  const LossKind& cross_entropy_ = *find_loss("cross_entropy");
  LossSettings loss_;
  std::optional<RowOrder> order_;
};

Result<std::unique_ptr<Objective>> ClassifyObjective::make(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  if (context.tokenizer == nullptr || context.config.output != ModelOutput::kLabels)
    return fail(ErrorCode::kInvalidArgument, "expected a model with labels and a tokenizer, got {}",
                context.config.architecture);
  if (job.max_seq_len > context.config.max_position_embeddings)
    return fail(ErrorCode::kInvalidArgument, "'max_seq_len': the model has {} positions, got {}",
                context.config.max_position_embeddings, job.max_seq_len);
  std::unique_ptr<ClassifyObjective> objective(new ClassifyObjective(context));
  objective->train_ = TRY(objective->read(job.train_rows, context.config));
  if (!job.validation_rows.empty())
    objective->validation_ = TRY(objective->read(job.validation_rows, context.config));
  TRY(objective->weigh());
  objective->order_.emplace(objective->train_.size(), job.seed);
  return std::unique_ptr<Objective>(std::move(objective));
}

Result<std::vector<LabelExample>> ClassifyObjective::read(const Path& file, const ModelConfig& config) const {
  const std::vector<LabelRow> rows = TRY(read_label_rows(file));
  const bool words = !rows.front().words.empty(), whole = config.rows_read() != RowsRead::kAny;
  if (words == whole)
    return fail(ErrorCode::kInvalidArgument, "{} gives labels of {}, but the rows have labels of {}",
                config.architecture, whole ? "whole texts" : "words", words ? "words" : "whole texts")
        .at(file.string());
  std::vector<LabelExample> examples;
  for (const LabelRow& row : rows) {
    LabelExample example =
        TRY(label_example(row, labels_, tokenizer_, config.rows_read() == RowsRead::kLast, job_.max_seq_len));
    if (!example.rows.empty()) examples.push_back(std::move(example));
  }
  return examples;
}

uint64_t ClassifyObjective::n_labels(const std::vector<LabelExample>& examples) {
  uint64_t n = 0;
  for (const LabelExample& example : examples) n += example.labels.size();
  return n;
}

Status ClassifyObjective::weigh() {
  loss_.label_smoothing = job_.label_smoothing;
  std::vector<double> counts(labels_.size());
  for (const LabelExample& example : train_)
    for (const int32_t label : example.labels) counts[static_cast<size_t>(label)] += 1;
  loss_.class_weights = TRY(weights_of_classes(job_.classify.class_weights, labels_, counts));
  return {};
}

std::vector<std::pair<TextBatch, std::vector<int32_t>>> ClassifyObjective::batches(
    const std::vector<const LabelExample*>& examples) const {
  std::vector<std::pair<TextBatch, std::vector<int32_t>>> batches;
  for (const LabelExample* example : examples) {
    if (batches.empty() ||
        batches.back().first.n_rows() + std::ssize(example->text.ids) > job_.micro_batch_tokens)
      batches.emplace_back();
    batches.back().first.add(example->text, example->rows);
    batches.back().second.insert(batches.back().second.end(), example->labels.begin(), example->labels.end());
  }
  return batches;
}

Result<StepLoss> ClassifyObjective::step(TorchModel& model) {
  StepLoss result;
  double weight = 0, n = 0, right = 0;
  std::vector<uint32_t> rows;
  // Rows whose labels all have weight 0 teach nothing.
  for (size_t tried = 0; weight <= 0; tried += rows.size()) {
    if (tried > train_.size())
      return fail(ErrorCode::kInvalidArgument,
                  "nothing to learn: the weights of all labels that occur are 0");
    rows = order_->take(job_.tokens_per_step, size_of_);
    n = 0;
    for (const uint32_t row : rows)
      for (const int32_t label : train_[row].labels) {
        weight += loss_.weight(label);
        ++n;
      }
  }
  const auto make = [&](const std::vector<uint32_t>& share) {
    std::vector<const LabelExample*> examples;
    for (const uint32_t row : share) examples.push_back(&train_[row]);
    return batches(examples);
  };
  for (auto& [batch, labels] : own_passes(rows, size_of_, ranks_, model, make)) {
    result.tokens += batch.n_rows();
    batch.pad();
    const std::vector<int32_t>& wanted = labels;
    const auto loss = [&](std::span<const float> scores, std::span<float> gradient) {
      const std::vector<int32_t> best = best_labels(scores, labels_.size());
      for (size_t i = 0; i < best.size(); ++i) right += best[i] == wanted[i] ? 1 : 0;
      return cross_entropy_.sum(loss_, scores, {.labels = wanted}, gradient);
    };
    result.loss += TRY(model.output_loss_and_gradient(batch.view(), loss, static_cast<float>(1 / weight)));
    result.flops += 3 * model.config().row_flops(false) * static_cast<double>(batch.n_rows());
  }
  result.loss /= weight;
  result.metrics = {{"accuracy", right / n}};
  return result;
}

Result<Evaluation> ClassifyObjective::evaluate(TorchModel& model) {
  std::vector<const LabelExample*> some;
  int64_t rows = 0;
  for (const LabelExample& example : validation_) {
    if (rows >= job_.evaluate_tokens) break;
    rows += std::ssize(example.text.ids);
    some.push_back(&example);
  }
  double loss = 0, weight = 0;
  std::vector<int32_t> wanted, guessed;
  auto parts = batches(some);
  const auto all = TRY(in_turn(
      ranks_, model, parts.size(), [&](size_t i) { return parts[i].second.size() * labels_.size(); },
      [&](size_t i) -> Result<std::vector<double>> {
        parts[i].first.pad();
        const std::vector<float> scores = TRY(model.output(parts[i].first.view()));
        return std::vector<double>(scores.begin(), scores.end());
      }));
  for (size_t part = 0; part < parts.size(); ++part) {
    const std::vector<int32_t>& labels = parts[part].second;
    const std::vector<float> scores(all[part].begin(), all[part].end());
    std::vector<float> ignored(scores.size());
    loss += cross_entropy_.sum(loss_, scores, {.labels = labels}, ignored);
    for (const int32_t label : labels) weight += loss_.weight(label);
    const std::vector<int32_t> best = best_labels(scores, labels_.size());
    wanted.insert(wanted.end(), labels.begin(), labels.end());
    guessed.insert(guessed.end(), best.begin(), best.end());
  }
  std::vector<double> right;
  for (size_t i = 0; i < wanted.size(); ++i) right.push_back(wanted[i] == guessed[i] ? 1 : 0);
  const auto f1 = [&](std::span<const uint32_t> of) { return macro_f1(wanted, guessed, labels_.size(), of); };
  return Evaluation{
      weight > 0 ? loss / weight : 0,
      0,
      {{"accuracy", mean_with_interval(right)}, {"macro_f1", with_interval(wanted.size(), f1)}}};
}

std::vector<std::vector<Objective::Piece>> ClassifyObjective::preview(int n_examples) const {
  std::vector<std::vector<Piece>> examples;
  for (size_t i = 0; i < train_.size() && std::cmp_less(i, n_examples); ++i) {
    std::string names;
    for (const int32_t label : train_[i].labels) names += " " + labels_[static_cast<size_t>(label)];
    examples.push_back({{tokenizer_.decode(train_[i].text.ids, false), false}, {" ->" + names, true}});
  }
  return examples;
}

}  // namespace

Result<std::unique_ptr<Objective>> make_classify_objective(const ObjectiveContext& context) {
  return ClassifyObjective::make(context);
}

Result<JsonObject> labelled_config(const JsonObject& config, const std::string& head,
                                   const std::vector<std::string>& labels) {
  std::string architecture;
  if (const Json* names = json_find(config, "architectures"); names != nullptr && names->is_array())
    if (!names->as_array().empty() && names->as_array()[0].is_string())
      architecture = std::string(names->as_array()[0].as_string());
  if (architecture.ends_with(head)) return config;
  // "LlamaForCausalLM", "BertModel", "GPT2LMHeadModel": what stands before is the family's name.
  const size_t end =
      std::min({architecture.find("For"), architecture.find("LMHead"), architecture.rfind("Model")});
  if (architecture.empty() || end == 0 || end == std::string::npos)
    return fail(ErrorCode::kUnsupported, "a model with labels cannot be made of a {}", architecture);
  JsonObject fields = config;
  fields["architectures"] = JsonArray{Json(architecture.substr(0, end) + head)};
  write_labels(labels, fields);
  return fields;
}

void write_labels(const std::vector<std::string>& labels, JsonObject& config) {
  JsonObject id2label, label2id;
  for (const std::string& name : labels) {
    id2label[std::to_string(id2label.size())] = name;
    label2id[name] = static_cast<int64_t>(label2id.size());
  }
  config["id2label"] = std::move(id2label);
  config["label2id"] = std::move(label2id);
  config.erase("num_labels");
}

Result<JsonObject> classifier_config(const TrainJob& job, const JsonObject& config) {
  const std::vector<LabelRow> rows = TRY(read_label_rows(job.train_rows));
  const std::vector<std::string> labels = label_names(rows);
  if (labels.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "expected two labels or more, got {}", labels.size())
        .at(job.train_rows.string());
  return labelled_config(
      config, rows.front().words.empty() ? "ForSequenceClassification" : "ForTokenClassification", labels);
}

}  // namespace volant
