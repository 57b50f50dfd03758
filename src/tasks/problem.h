// What is predicted: one of several classes, one of two, or a number; and how a model's outputs say it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "models/model_config.h"

namespace volant {

enum class Problem {
  kClasses,  // one output for each label, softmax
  kBinary,   // one output, sigmoid: the probability of the second label
  kNumber,   // one output: (target - mean) / deviation of the training rows
};

// config.json's problem_type: "single_label_classification", "binary_classification", "regression".
const char* problem_name(Problem problem);
// Of any model with labels: a network says it itself, every other classifier has kClasses.
Problem problem_of(const ModelConfig& config);
// How many numbers the model gives for one input.
int64_t n_outputs(const ModelConfig& config);
// The output that speaks for the label number `label` of classes, and with which sign: of two classes by one
// output, for or against the second. Of numbers the value.
struct OutputFor {
  size_t column = 0;
  float sign = 1;
};
OutputFor output_for(const ModelConfig& config, int32_t label);

// The most likely label; of two, the second from this probability on.
int32_t decided_label(std::span<const double> probabilities, double threshold);

// Softmax, or [1 - p, p] of a sigmoid. Of classes and two classes.
std::vector<double> probabilities_of(Problem problem, std::span<const float> outputs);

// The output of a regression in the unit of the training data.
double number_of(const ModelConfig& config, float output);

// Mean and deviation of the targets to learn from, for config.json's target_mean and target_deviation. The
// deviation of a constant is 1.
struct TargetScale {
  double mean = 0, deviation = 1;
};
TargetScale target_scale(std::span<const double> targets);

}  // namespace volant
