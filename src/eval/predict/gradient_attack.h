// Inputs moved against a model by its own gradients, each number by at most a given distance: the fast
// gradient sign method (Goodfellow, Shlens and Szegedy 2015) and projected gradient descent (Madry et al.
// 2018). On the native model, f32. Pictures and tables are moved as the model reads them, texts on the
// embeddings of their words.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/instances/input_gradient.h"
#include "tasks/predictor.h"

namespace volant {

// How far the numbers of one input can go for an epsilon of 1, and where they end, in the model's own units.
// Texts have no ends, and no reach: it is found from their embeddings.
struct AttackRange {
  std::vector<float> reach = {}, low = {}, high = {};  // of each feature
};

// Of a picture: one is the way from black to white, and no pixel goes beyond either. Of a table: one
// deviation of the training rows, within their range; categories and what is missing stay. Of a text nothing.
AttackRange attack_range(const InputEncoder& encoder, const Json& input, const EncodedInput& encoded);
// What an epsilon of 1 is, in words: "of the way from black to white".
Result<std::string> attack_unit(const InputEncoder& encoder);

struct AttackSettings {
  double epsilon = 0.1;
  int steps = 10;  // of projected gradient descent, each 2.5 epsilon / steps long
};

// Where an input was moved to, and what came of it.
struct AttackedInput {
  std::vector<float> shift = {};  // what was added to each number: [F], or [tokens, width] of embeddings
  double loss = 0;                // cross-entropy, or the square of (output - target), in training's units
  bool right = false;             // classes: the label is still the right one
  double value = 0;               // numbers: what the model says, in the unit of the training data
};

struct AttackTarget {
  EncodedInput input = {};
  AttackRange range = {};
  int32_t label = 0;  // of classes: the right one
  double target = 0;  // of numbers
};

struct AttackOutcome {
  // Of plain, one step, and many steps that start from that one. An attacker keeps the worst point that was
  // seen (a wrong label is worse than any right one, then the larger loss), so that none is weaker than the
  // one before.
  AttackedInput plain, fgsm, pgd;
};

class GradientAttack {
 public:
  // `folder`: of a finished model; `threshold`: of the second of two labels. kUnsupported for models without
  // gradients by their inputs.
  static Result<GradientAttack> load(const Path& folder, double threshold, int n_threads);

  // kInvalidArgument for labels that are not, epsilons below 0 and no steps.
  Result<std::vector<AttackOutcome>> run(std::span<const AttackTarget> targets,
                                         const AttackSettings& settings);

 private:
  GradientAttack(std::unique_ptr<InputGradient> model, double threshold)
      : model_(std::move(model)), threshold_(threshold) {}
  Status check(std::span<const AttackTarget> targets, const AttackSettings& settings) const;

  std::unique_ptr<InputGradient> model_;
  double threshold_;
};

}  // namespace volant
