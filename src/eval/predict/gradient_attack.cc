#include "eval/predict/gradient_attack.h"

#include <algorithm>
#include <cmath>

#include "tasks/image/image_encoder.h"
#include "tasks/input_batch.h"
#include "tasks/table/table_encoder.h"

namespace volant {
namespace {

constexpr size_t kTogether = 32;    // inputs of a pass
constexpr double kStepShare = 2.5;  // all steps together go so many epsilons, as Madry et al. have it

AttackRange range_of_picture(const ImageEncoder& encoder) {
  AttackRange range;
  const int64_t pixels = encoder.size().width * encoder.size().height;
  for (int64_t c = 0; c < encoder.size().channels; ++c) {
    const double mean = encoder.mean(c), deviation = encoder.deviation(c);
    const auto fill = [&](std::vector<float>& numbers, double x) {
      numbers.insert(numbers.end(), static_cast<size_t>(pixels), static_cast<float>(x));
    };
    fill(range.reach, 1 / deviation);
    fill(range.low, (0 - mean) / deviation);
    fill(range.high, (1 - mean) / deviation);
  }
  return range;
}

AttackRange range_of_row(const TableEncoder& encoder, const Json& input, const EncodedInput& encoded) {
  AttackRange range{.reach = std::vector<float>(encoded.features.size()),
                    .low = encoded.features,
                    .high = encoded.features};
  for (const TableField& field : encoder.fields()) {
    const Json* value = json_find(input, field.name);
    if (!field.is_number || value == nullptr || value->is_null()) continue;
    const auto at = static_cast<size_t>(field.begin);
    const auto standardised = [&](double x) {
      return static_cast<float>((x - field.mean) / field.deviation);
    };
    range.reach[at] = 1;
    range.low[at] = std::min(range.low[at], standardised(field.minimum));
    range.high[at] = std::max(range.high[at], standardised(field.maximum));
  }
  return range;
}

// One input's loss, and its gradient by the outputs.
double loss_of(const ModelConfig& config, const AttackTarget& target, std::span<const float> output,
               std::span<float> gradient) {
  const Problem problem = problem_of(config);
  if (problem == Problem::kNumber) {
    const auto* network = std::get_if<NetworkFields>(&config.own);
    const double wanted = network == nullptr
                              ? target.target
                              : (target.target - network->target_mean) / network->target_deviation;
    const double off = static_cast<double>(output[0]) - wanted;
    gradient[0] = static_cast<float>(2 * off);
    return off * off;
  }
  const std::vector<double> p = probabilities_of(problem, output);
  const auto label = static_cast<size_t>(target.label);
  if (problem == Problem::kBinary)
    gradient[0] = static_cast<float>(p[1] - static_cast<double>(label));
  else
    for (size_t k = 0; k < p.size(); ++k) gradient[k] = static_cast<float>(p[k] - (k == label ? 1.0 : 0.0));
  return -std::log(std::max(p[label], 1e-300));
}

bool is_worse(const AttackedInput& a, const AttackedInput& b) {
  return a.right != b.right ? !a.right : a.loss > b.loss;
}

float root_mean_square(std::span<const float> numbers) {
  double squares = 0;
  for (const float x : numbers) squares += static_cast<double>(x) * static_cast<double>(x);
  return static_cast<float>(std::sqrt(squares / static_cast<double>(numbers.size())));
}

float sign_of(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : 0.0F; }

// Inputs that are moved together by passes of one batch.
class Group {
 public:
  Group(InputGradient& model, double threshold, std::span<const AttackTarget> targets, float epsilon)
      : model_(model), threshold_(threshold), targets_(targets), epsilon_(epsilon) {
    const bool typed =
        std::ranges::any_of(targets, [](const AttackTarget& target) { return !target.input.types.empty(); });
    for (const AttackTarget& target : targets) batch_.add(target.input, model.config().rows_read(), typed);
  }

  // What comes of the inputs where they are now, and the way up from there; the first time, of plain ones.
  Status look() {
    points_.assign(targets_.size(), {});
    const auto weights = [&](std::span<const float> output) { return judge(output); };
    InputGradient::Pass pass = TRY(model_.gradient(batch_.view(), weights, 1, shift_));
    gradient_ = std::move(pass.gradient);
    if (begins_.empty()) find_limits(pass.input);
    for (size_t i = 0; i < points_.size(); ++i)
      points_[i].shift.assign(shift_.begin() + begins_[i], shift_.begin() + begins_[i + 1]);
    return {};
  }
  // Moves every number by `part` of its reach up its gradient, no further than it may go.
  void step(float part) {
    for (size_t i = 0; i < shift_.size(); ++i)
      shift_[i] = std::clamp(shift_[i] + part * reach_[i] * sign_of(gradient_[i]), low_[i], high_[i]);
  }
  const std::vector<AttackedInput>& points() const { return points_; }

 private:
  // The gradient of the losses' sum by the outputs.
  std::vector<float> judge(std::span<const float> output) {
    const ModelConfig& config = model_.config();
    const Problem problem = problem_of(config);
    const size_t width = output.size() / targets_.size();
    std::vector<float> gradient(output.size());
    for (size_t i = 0; i < targets_.size(); ++i) {
      const std::span<const float> own = output.subspan(i * width, width);
      points_[i].loss = loss_of(config, targets_[i], own, std::span(gradient).subspan(i * width, width));
      if (problem == Problem::kNumber)
        points_[i].value = number_of(config, own[0]);
      else
        points_[i].right = decided_label(probabilities_of(problem, own), threshold_) == targets_[i].label;
    }
    return gradient;
  }

  // How far each number may go from `plain`: [T, F], or embeddings [T, width].
  void find_limits(std::span<const float> plain) {
    begins_ = {0};
    for (const AttackTarget& target : targets_) {
      const auto begin = static_cast<size_t>(begins_.back());
      const size_t n = target.input.features.empty()
                           ? target.input.tokens.size() * (plain.size() / batch_.tokens.size())
                           : target.input.features.size();
      const std::span<const float> own = plain.subspan(begin, n);
      const float of_text = root_mean_square(own);
      for (size_t i = 0; i < n; ++i) {
        const AttackRange& range = target.range;
        const float reach = epsilon_ * (range.reach.empty() ? of_text : range.reach[i]);
        reach_.push_back(reach);
        low_.push_back(range.low.empty() ? -reach : std::clamp(range.low[i] - own[i], -reach, 0.0F));
        high_.push_back(range.high.empty() ? reach : std::clamp(range.high[i] - own[i], 0.0F, reach));
      }
      begins_.push_back(static_cast<ptrdiff_t>(begin + n));
    }
    shift_.assign(plain.size(), 0.0F);
  }

  InputGradient& model_;
  double threshold_;
  std::span<const AttackTarget> targets_;
  float epsilon_;
  InputBatch batch_;
  std::vector<ptrdiff_t> begins_;          // of each input among the numbers
  std::vector<float> reach_, low_, high_;  // of each number's shift
  std::vector<float> shift_, gradient_;
  std::vector<AttackedInput> points_;
};

}  // namespace

AttackRange attack_range(const InputEncoder& encoder, const Json& input, const EncodedInput& encoded) {
  if (const auto* image = dynamic_cast<const ImageEncoder*>(&encoder)) return range_of_picture(*image);
  if (const auto* table = dynamic_cast<const TableEncoder*>(&encoder))
    return range_of_row(*table, input, encoded);
  return {};
}

Result<std::string> attack_unit(const InputEncoder& encoder) {
  const std::string kind = TRY(json_string_or(encoder.schema(), "kind", ""));
  if (kind == "image") return std::string("of the way from black to white");
  if (kind == "table") return std::string("deviations of each number");
  if (kind == "text") return std::string("of the root mean square of the text's embeddings");
  return fail(ErrorCode::kUnsupported, "attacks: nothing is known of inputs of kind '{}'", kind);
}

Result<GradientAttack> GradientAttack::load(const Path& folder, double threshold, int n_threads) {
  return GradientAttack(TRY(InputGradient::load(TRY(Checkpoint::open(folder)), n_threads)), threshold);
}

Status GradientAttack::check(std::span<const AttackTarget> targets, const AttackSettings& settings) const {
  if (!(settings.epsilon >= 0) || settings.steps < 1)
    return fail(ErrorCode::kInvalidArgument, "expected an epsilon of at least 0 and a step, got {} and {}",
                settings.epsilon, settings.steps);
  const ModelConfig& config = model_->config();
  for (const AttackTarget& target : targets) {
    const bool number = problem_of(config) == Problem::kNumber;
    if (!number && (target.label < 0 || std::cmp_greater_equal(target.label, config.labels.size())))
      return fail(ErrorCode::kInvalidArgument, "expected the number of a label, got {}", target.label);
    const size_t n = target.input.features.size();
    if (target.range.reach.size() != n || target.range.low.size() != n || target.range.high.size() != n)
      return fail(ErrorCode::kInvalidArgument, "expected a range for each of {} features, got {}", n,
                  target.range.reach.size());
  }
  return {};
}

Result<std::vector<AttackOutcome>> GradientAttack::run(std::span<const AttackTarget> all,
                                                       const AttackSettings& settings) {
  TRY(check(all, settings));
  const auto worse_of = [](const AttackedInput& a, const AttackedInput& b) { return is_worse(b, a) ? b : a; };
  std::vector<AttackOutcome> outcomes;
  for (size_t begin = 0; begin < all.size(); begin += kTogether) {
    const std::span<const AttackTarget> targets = all.subspan(begin, std::min(kTogether, all.size() - begin));
    Group group(*model_, threshold_, targets, static_cast<float>(settings.epsilon));
    TRY(group.look());
    std::vector<AttackedInput> plain = group.points();
    group.step(1);
    TRY(group.look());
    std::vector<AttackOutcome> some;
    for (size_t i = 0; i < targets.size(); ++i) {
      AttackedInput one_step = worse_of(plain[i], group.points()[i]);
      some.push_back({std::move(plain[i]), one_step, one_step});
    }
    for (int step = 0; step < settings.steps; ++step) {
      group.step(static_cast<float>(kStepShare / settings.steps));
      TRY(group.look());
      for (size_t i = 0; i < targets.size(); ++i) some[i].pgd = worse_of(some[i].pgd, group.points()[i]);
    }
    std::ranges::move(some, std::back_inserter(outcomes));
  }
  return outcomes;
}

}  // namespace volant
