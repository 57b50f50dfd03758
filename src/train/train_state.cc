#include "train/train_state.h"

#include <cmath>
#include <cstring>
#include <deque>

#include "io/safetensors.h"
#include "ops/torch/backend.h"

namespace volant {
namespace {

constexpr const char* kFormat = "volant-train-2";
const std::string kSlot = "optimizer.";  // before the names of what is remembered

std::span<const std::byte> bytes_of(std::span<const float> numbers) { return std::as_bytes(numbers); }

std::span<const float> on_host(std::span<const float> numbers, std::deque<std::vector<float>>& copies) {
  if (torch_backend() != TorchBackend::kCuda) return numbers;
  std::vector<float>& copy = copies.emplace_back(numbers.size());
  torch_ops::copy_numbers(torch_backend(), numbers, copy);
  return copy;
}

// `numbers`: those of the tensor from number `begin` on.
Status read_numbers(const SafetensorsFile& file, const std::string& name, const std::vector<int64_t>& shape,
                    size_t begin, std::span<float> numbers) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) return fail(ErrorCode::kParse, "expected a tensor '{}'", name);
  if (found->second.dtype != "F32" || found->second.shape != shape)
    return fail(ErrorCode::kParse, "tensor '{}' has another shape or type than this model", name);
  std::vector<float> here(numbers.size());
  std::memcpy(here.data(), found->second.bytes.data() + begin * sizeof(float), numbers.size_bytes());
  torch_ops::copy_numbers(here, torch_backend(), numbers);
  return {};
}

Result<uint64_t> count(const Json& json, std::string_view key) {
  const int64_t n = TRY(json_int(json, key));
  if (n < 0) return fail(ErrorCode::kParse, "'{}': expected a count, got {}", key, n);
  return static_cast<uint64_t>(n);
}

}  // namespace

Json TrainState::to_json() const {
  JsonObject json{{"step", step},
                  {"objective", objective},
                  {"tokens", tokens},
                  {"elapsed", elapsed},
                  {"best_step", best_step},
                  {"evaluations_without_progress", evaluations_without_progress},
                  {"n_plateaus", n_plateaus}};
  if (std::isfinite(best_loss)) json["best_loss"] = best_loss;
  return json;
}

Result<TrainState> TrainState::from_json(const Json& json) {
  TrainState state;
  state.step = static_cast<int64_t>(TRY(count(json, "step")));
  if (const Json* objective = json_find(json, "objective")) state.objective = *objective;
  state.tokens = TRY(count(json, "tokens"));
  state.elapsed = TRY(json_number(json, "elapsed"));
  state.best_loss = TRY(json_number_or(json, "best_loss", state.best_loss));
  state.best_step = TRY(json_int(json, "best_step"));
  state.n_plateaus = TRY(json_int_or(json, "n_plateaus", 0));
  state.evaluations_without_progress = TRY(json_int(json, "evaluations_without_progress"));
  return state;
}

Status save_checkpoint(const Path& file, const TorchModel& model, const std::vector<Optimizer::Slot>& slots,
                       const TrainState& state, const std::string& job_digest) {
  std::map<std::string, SafetensorsEntry> tensors;
  std::deque<std::vector<float>> copies;  // of what is on a GPU
  for (const auto& p : model.kept())
    tensors[p.spec.name] = {"F32", p.spec.shape, bytes_of(on_host(p.values, copies))};
  for (const Optimizer::Slot& slot : slots)
    tensors[kSlot + slot.name] = {
        "F32", {static_cast<int64_t>(slot.values.size())}, bytes_of(on_host(slot.values, copies))};
  TRY(make_dirs(file.parent_path()));
  return write_safetensors(file, tensors,
                           {{"format", kFormat}, {"state", dump_json(state.to_json())}, {"job", job_digest}});
}

Result<TrainState> load_checkpoint(const Path& path, TorchModel& model,
                                   std::span<const TorchModel::Parameter> weights,
                                   const std::vector<Optimizer::Slot>& slots, const std::string& job_digest) {
  const auto load = [&]() -> Result<TrainState> {
    const SafetensorsFile file = TRY(SafetensorsFile::open(path));
    const auto& notes = file.metadata();
    const auto format = notes.find("format"), state = notes.find("state"), job = notes.find("job");
    if (format == notes.end() || format->second != kFormat || state == notes.end() || job == notes.end())
      return fail(ErrorCode::kParse, "expected a checkpoint of volant-train ({})", kFormat);
    if (job->second != job_digest)
      return fail(ErrorCode::kConflict,
                  "this checkpoint belongs to another job.json; put the old job back, or remove the folder "
                  "'checkpoints' to start anew");
    for (const auto& p : weights) TRY(read_numbers(file, p.spec.name, p.spec.shape, p.begin, p.values));
    for (const Optimizer::Slot& slot : slots)
      TRY(read_numbers(file, kSlot + slot.name, {static_cast<int64_t>(slot.count)}, slot.begin, slot.values));
    model.weights_changed();
    return TrainState::from_json(TRY(parse_json(state->second)));
  };
  auto state = load();
  if (!state) return std::move(state).error().at(path.string());
  return state;
}

}  // namespace volant
