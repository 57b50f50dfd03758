#include "train/rollouts.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

namespace volant {
namespace {
constexpr int kSlots = 64;  // answers at once
constexpr size_t kMaxQueue = 1 << 20;
}  // namespace

Result<Rollouts> Rollouts::open(const Path& model, int n_threads, int64_t n_ctx) {
  return Rollouts(TRY(Engine::open(model, {.n_threads = n_threads,
                                           .n_slots = kSlots,
                                           .n_ctx = static_cast<int>(n_ctx),
                                           .max_queue = kMaxQueue})));
}

Status Rollouts::follow(const TorchModel& model) {
  std::map<std::string, size_t> tensors;
  for (size_t i = 0; i < model.tensors().size(); ++i) tensors[model.tensors()[i].name] = i;
  std::vector<float> numbers;  // of the tensor that the engine is taking
  return engine_->set_weights([&](const TensorSpec& spec) -> Result<TensorView> {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) return fail(ErrorCode::kInternal, "the model in training has no such tensor");
    numbers = model.merged(found->second);
    return TensorView{DType::kF32, spec.shape, std::as_bytes(std::span<const float>(numbers))};
  });
}

Result<std::vector<Rollout>> Rollouts::answers(const std::vector<RolloutRequest>& requests,
                                               int64_t max_new_tokens, double temperature) {
  const std::vector<int32_t> stops = engine_->checkpoint().stop_ids(engine_->tokenizer());
  std::vector<Rollout> rollouts(requests.size());
  std::mutex mutex;
  std::condition_variable all_done;
  size_t n_running = 0;
  Status status;
  for (size_t i = 0; i < requests.size() && status; ++i) {
    GenerateRequest request;
    request.prompt = requests[i].prompt;
    request.max_tokens = static_cast<int>(max_new_tokens);
    request.sampling.temperature = temperature;
    request.sampling.seed = requests[i].seed;
    request.ignore_stop_ids = true;  // the id that ends an answer is learned too
    Rollout& rollout = rollouts[i];
    const auto on_event = [&rollout, &stops](const GenerateEvent& event) {
      if (event.id < 0) return true;
      rollout.ids.push_back(event.id);
      rollout.ended = std::find(stops.begin(), stops.end(), event.id) != stops.end();
      return !rollout.ended;
    };
    const auto on_done = [&](const GenerateResult& result) {
      const std::lock_guard lock(mutex);
      if (result.error) status = *result.error;
      --n_running;
      all_done.notify_one();
    };
    {
      const std::lock_guard lock(mutex);
      ++n_running;
    }
    const auto submitted = engine_->submit(std::move(request), on_event, on_done);
    if (submitted) continue;
    const std::lock_guard lock(mutex);
    --n_running;
    status = submitted.error();
    break;
  }
  std::unique_lock lock(mutex);
  all_done.wait(lock, [&] { return n_running == 0; });
  TRY(std::move(status));
  return rollouts;
}

std::string Rollouts::text(const Rollout& rollout) const {
  const size_t n = rollout.ids.size() - (rollout.ended ? 1 : 0);
  return engine_->tokenizer().decode(std::span(rollout.ids).first(n));
}

}  // namespace volant
