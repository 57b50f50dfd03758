#include "train/ranks.h"

// clang-format off: before the other headers of libtorch, which define a CHECK of their own
#include "ops/torch/tensor_at.h"
// clang-format on
#pragma push_macro("CHECK")
#undef CHECK
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>
#pragma pop_macro("CHECK")

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "train/sum_group.h"

namespace volant {
namespace {

using std::chrono::milliseconds;
using Store = c10::intrusive_ptr<c10d::TCPStore>;

constexpr double kMeetSeconds = 300;
constexpr milliseconds kBeat{500};
constexpr double kSilence = 7;       // seconds without a beat after which a rank is gone
constexpr double kStoreSilence = 9;  // and rank 0's store
constexpr double kLeaveSeconds = 10;
// Of an operation of c10d: how long evaluations and checkpoints may take. Dead ranks are the heart's affair.
constexpr milliseconds kOperation = std::chrono::hours(24);

const std::string kLost = "lost";
std::string beat_key(int rank) { return "beat/" + std::to_string(rank); }
std::string left_key(int rank) { return "left/" + std::to_string(rank); }

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "?";
}

// libtorch's messages go on with a stack trace.
std::string first_line(const char* what) {
  const std::string text = what;
  return text.substr(0, text.find('\n'));
}

template <class F>
auto guarded(const char* what, F&& f) -> Result<decltype(f())> {
  try {
    return f();
  } catch (const std::exception& e) {
    return fail(ErrorCode::kUnavailable, "{}: {}", what, first_line(e.what()));
  }
}

// `port`: 0 for one that serves where it can.
Store connect(const RankInfo& info, int port, bool serves) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = milliseconds(static_cast<int64_t>(kMeetSeconds * 1000));
  return c10::make_intrusive<c10d::TCPStore>(info.host, options);
}

// The store of rank 0, and in `info` its port.
Store open_store(RankInfo& info) {
  const bool first = info.rank == 0;
  if (info.agent_key.empty()) return connect(info, info.port, first);
  const Store agent = connect(info, info.port, false);
  if (!first) {
    info.port = std::stoi(text_of(agent->get(info.agent_key)));
    return connect(info, info.port, false);
  }
  Store own = connect(info, 0, true);
  info.port = own->getPort();
  agent->set(info.agent_key, bytes_of(std::to_string(info.port)));
  return own;
}

// Tells the others that we live, and hears of those who do not. Rank 0 listens for everybody.
class Heart {
 public:
  Heart(const RankInfo& info, Store store, Ranks::OnLost on_lost)
      : info_(info),
        store_(std::move(store)),
        on_lost_(std::move(on_lost)),
        seen_(static_cast<size_t>(info.size)),
        beats_([this] { beat_until_stopped(); }),
        watch_([this] { watch_until_stopped(); }) {}
  ~Heart() { stop(); }
  Heart(const Heart&) = delete;
  Heart& operator=(const Heart&) = delete;

  void when_lost(Ranks::OnLost f) {
    const std::lock_guard lock(mutex_);
    before_lost_ = std::move(f);
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    // A beat on its way to a machine that has fallen silent comes back only where somebody watches.
    if (beats_.joinable()) beats_.join();
    {
      const std::lock_guard lock(mutex_);
      beats_ended_ = true;
    }
    changed_.notify_all();
    if (watch_.joinable()) watch_.join();
  }

 private:
  struct Seen {
    int64_t beats = 0;
    double at = steady_seconds();
  };

  // Until the next beat; false when `ended` is true before.
  bool sleep(const bool& ended) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, kBeat, [&] { return ended; });
  }
  void lost(const std::string& why) {
    if (told_.exchange(true)) return;
    const Error error = fail(ErrorCode::kUnavailable, "{}", why);
    const std::lock_guard lock(mutex_);
    if (before_lost_) before_lost_(error);
    on_lost_(error);
  }

  void beat_until_stopped() {
    do {
      try {
        store_->add(beat_key(info_.rank), 1);
        if (store_->check({kLost})) lost(text_of(store_->get(kLost)));
        if (info_.rank == 0) listen();
        heard_ = steady_seconds();
      } catch (const std::exception&) {
        return lost(fmt::format("rank 0 on {} is gone", info_.host));
      }
    } while (sleep(stopped_));
  }

  void listen() {
    const double now = steady_seconds();
    for (int rank = 1; rank < info_.size; ++rank) {
      Seen& seen = seen_[static_cast<size_t>(rank)];
      const int64_t beats = store_->add(beat_key(rank), 0);
      if (std::exchange(seen.beats, beats) != beats || store_->check({left_key(rank)})) seen.at = now;
      if (now - seen.at < kSilence) continue;
      const std::string why =
          fmt::format("rank {} on {} is gone: not heard of for {:.0f} s", rank,
                      text_of(store_->get("host/" + std::to_string(rank))), now - seen.at);
      store_->set(kLost, bytes_of(why));
      return;  // the next beat says so here
    }
  }

  // A store whose machine has fallen silent answers with nothing at all, not with an error.
  void watch_until_stopped() {
    while (sleep(beats_ended_))
      if (steady_seconds() - heard_ > kStoreSilence)
        lost(fmt::format("rank 0 on {} is gone: not heard of for {:.0f} s", info_.host,
                         steady_seconds() - heard_));
  }

  RankInfo info_;
  Store store_;
  Ranks::OnLost on_lost_, before_lost_;
  std::vector<Seen> seen_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false, beats_ended_ = false;
  std::atomic<bool> told_ = false;
  std::atomic<double> heard_ = steady_seconds();
  std::thread beats_, watch_;  // last: they use the others
};

void wait_for_all(c10d::TCPStore& store, const RankInfo& info) {
  store.set("host/" + std::to_string(info.rank), bytes_of(host_name()));
  store.add("met", 1);
  const double started = steady_seconds();
  for (;;) {
    const int64_t met = store.add("met", 0);
    if (met >= info.size) return;
    if (steady_seconds() - started > kMeetSeconds)
      throw std::runtime_error(
          fmt::format("{} of {} processes came within {:.0f} s", met, info.size, kMeetSeconds));
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

struct Ranks::State {
  Store store;
  c10::intrusive_ptr<SumGroup> group;    // of numbers on the host
  c10::intrusive_ptr<SumGroup> on_gpus;  // null until numbers there are summed
  std::unique_ptr<Heart> heart;
};

struct Ranks::Pending::Work {
  std::vector<at::Tensor> tensors;
  c10::intrusive_ptr<c10d::Work> work;
  Status failed;
};

namespace {
template <class State>
SumGroup& group_of(State& state, const RankInfo& /*info*/, std::span<double> /*on the host*/) {
  return *state.group;
}
// Where the backend has its numbers. All ranks come here for the first time with the same sum.
template <class State>
SumGroup& group_of(State& state, const RankInfo& info, std::span<float> /*numbers*/) {
  if (torch_backend() != TorchBackend::kCuda) return *state.group;
  if (!state.on_gpus)
    state.on_gpus = make_nccl_group(c10::make_intrusive<c10d::PrefixStore>("nccl", state.store), info.rank,
                                    info.size, kOperation);
  return *state.on_gpus;
}

at::Tensor tensor_of(std::span<float> numbers) { return torch_ops::tensor_at(torch_backend(), numbers); }
at::Tensor tensor_of(std::span<double> numbers) {
  return at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::kDouble);
}

// `start` gives the work of c10d on the numbers as tensors, in the group of where they lie.
template <class Work, class State, class T, class F>
std::unique_ptr<Work> started(State& state, const RankInfo& info, std::span<T> numbers, F&& start) {
  auto work = std::make_unique<Work>();
  const auto made = guarded("a sum over processes", [&] {
    work->tensors = {tensor_of(numbers)};
    work->work = start(group_of(state, info, numbers), work->tensors);
    return true;
  });
  if (!made) work->failed = made.error();
  return work;
}

// On GPUs sums go on after wait(), in the order of what was asked for: until the last one has come.
void finish_on_gpu(SumGroup& group) {
  std::vector<at::Tensor> one{at::zeros({1}, at::kCUDA)};
  group.allreduce(one)->wait();
  (void)one[0].item<float>();
}
}  // namespace

Ranks::Ranks() = default;
const Ranks& Ranks::alone() {
  static const Ranks one;
  return one;
}
Ranks::Ranks(const RankInfo& info, std::unique_ptr<State> state) : info_(info), state_(std::move(state)) {}
Ranks::Ranks(Ranks&&) noexcept = default;
Ranks& Ranks::operator=(Ranks&&) noexcept = default;
Ranks::~Ranks() = default;

Ranks::Pending::Pending() = default;
Ranks::Pending::Pending(Pending&&) noexcept = default;
Ranks::Pending& Ranks::Pending::operator=(Pending&&) noexcept = default;
Ranks::Pending::~Pending() = default;

Status Ranks::Pending::wait() {
  if (!work_) return {};
  const std::unique_ptr<Work> work = std::move(work_);
  TRY(work->failed);
  const auto done = guarded("a sum over processes", [&] { return work->work->wait(); });
  if (done) return {};
  // Somebody is gone; the heart will say who.
  std::this_thread::sleep_for(milliseconds(static_cast<int64_t>(1000 * (kStoreSilence + 2))));
  return done.error();
}

Result<Ranks> Ranks::meet(const RankInfo& given, OnLost on_lost) {
  if (given.size == 1) return Ranks();
  RankInfo info = given;
  const std::string where = fmt::format("processes meet at {}:{}", info.host, info.port);
  log_debug("rank {} of {}: {}", info.rank, info.size, where);
  auto state = guarded(where.c_str(), [&] {
    auto made = std::make_unique<State>();
    made->store = open_store(info);
    wait_for_all(*made->store, info);
    made->group =
        make_gloo_group(c10::make_intrusive<c10d::PrefixStore>("gloo", made->store), info, kOperation);
    made->heart = std::make_unique<Heart>(info, connect(info, info.port, false), std::move(on_lost));
    return made;
  });
  if (!state) return std::move(state).error();
  return Ranks(info, std::move(*state));
}

Ranks::Pending Ranks::start_sum(std::span<float> numbers) const {
  Pending pending;
  if (state_ && !numbers.empty())
    pending.work_ = started<Pending::Work>(
        *state_, info_, numbers, [](SumGroup& group, auto& tensors) { return group.allreduce(tensors); });
  return pending;
}

Ranks::Pending Ranks::start_sum_to(int to, std::span<float> numbers) const {
  Pending pending;
  if (state_ && !numbers.empty())
    pending.work_ = started<Pending::Work>(*state_, info_, numbers, [to](SumGroup& group, auto& tensors) {
      c10d::ReduceOptions options;
      options.rootRank = to;
      return group.reduce(tensors, options);
    });
  return pending;
}

Ranks::Pending Ranks::start_copy_from(int from, std::span<float> numbers) const {
  Pending pending;
  if (state_ && !numbers.empty())
    pending.work_ = started<Pending::Work>(*state_, info_, numbers, [from](SumGroup& group, auto& tensors) {
      c10d::BroadcastOptions options;
      options.rootRank = from;
      return group.broadcast(tensors, options);
    });
  return pending;
}

Status Ranks::sum(std::span<double> numbers) const {
  Pending pending;
  if (state_ && !numbers.empty())
    pending.work_ = started<Pending::Work>(
        *state_, info_, numbers, [](SumGroup& group, auto& tensors) { return group.allreduce(tensors); });
  return pending.wait();
}

Status Ranks::copy_from_first(std::span<double> numbers) const {
  Pending pending;
  if (state_ && !numbers.empty())
    pending.work_ = started<Pending::Work>(
        *state_, info_, numbers, [](SumGroup& group, auto& tensors) { return group.broadcast(tensors); });
  return pending.wait();
}

Status Ranks::meet_again() const {
  double nothing = 0;
  return sum({&nothing, 1});
}

Status Ranks::check_same(const std::string& text, const std::string& what) const {
  if (!state_) return {};
  const std::string mine = sha256_hex(text);
  const auto of_first = guarded("processes compare their jobs", [&] {
    const std::string key = "same/" + what;
    if (first()) state_->store->set(key, bytes_of(mine));
    return text_of(state_->store->get(key));
  });
  if (!of_first) return of_first.error();
  if (*of_first == mine) return {};
  return fail(ErrorCode::kInvalidArgument,
              "rank {} on {} has another {} than rank 0: all processes must see the same folder", rank(),
              host_name(), what);
}

void Ranks::when_lost(OnLost f) const {
  if (state_) state_->heart->when_lost(std::move(f));
}

void Ranks::leave(const Status& outcome) {
  if (!state_) return;
  if (!outcome) {
    // What waits there for the others may never come back, and would be waited for.
    (void)state_->on_gpus.release();
    const std::string why = fmt::format("rank {} on {}: {}", rank(), host_name(), outcome.error().message);
    (void)guarded("leave", [&] {
      state_->heart->stop();
      state_->store->set(kLost, bytes_of(why));
      if (first()) std::this_thread::sleep_for(2 * kBeat);  // while it is here they can read it
      return true;
    });
    return;
  }
  if (state_->on_gpus)
    (void)guarded("leave", [&] {
      finish_on_gpu(*state_->on_gpus);
      return true;
    });
  if (!first()) state_->heart->stop();  // rank 0 may be gone as soon as it knows
  (void)guarded("leave", [&] {
    state_->store->set(left_key(rank()), bytes_of("1"));
    if (!first()) return true;
    const double started = steady_seconds();
    for (int other = 1; other < size(); ++other)
      while (!state_->store->check({left_key(other)}) && steady_seconds() - started < kLeaveSeconds)
        std::this_thread::sleep_for(milliseconds(10));
    return true;
  });
  state_->heart->stop();
}

}  // namespace volant
