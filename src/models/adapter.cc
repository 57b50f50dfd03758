#include "models/adapter.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace volant {
namespace {

std::string module_of(const std::string& tensor_name) {
  return tensor_name.ends_with(".weight") ? tensor_name.substr(0, tensor_name.size() - 7) : tensor_name;
}

bool names_module(const std::string& module, const std::string& target) {
  return module == target || module.ends_with("." + target);
}

bool may_carry(const TensorSpec& spec) {
  return spec.role == TensorRole::kMatrix && spec.shape.size() == 2 && spec.name.ends_with(".weight");
}

}  // namespace

double AdapterSpec::scale() const {
  const auto rank = static_cast<double>(r);
  return alpha / (kind == Kind::kRsLora ? std::sqrt(rank) : rank);
}

Result<std::vector<std::string>> adapted_tensors(const ModelConfig& config, const AdapterSpec& spec) {
  const bool all = spec.target_modules == std::vector<std::string>{"all-linear"};
  std::vector<std::string> names;
  std::set<std::string> matched;
  for (const TensorSpec& tensor : tensor_specs(config)) {
    bool wanted = all && may_carry(tensor);
    for (const std::string& target : spec.target_modules) {
      if (!names_module(module_of(tensor.name), target)) continue;
      if (!may_carry(tensor))
        return fail(ErrorCode::kUnsupported,
                    "'{}': adapters stand beside linear layers, not beside embeddings, norms or the head",
                    target)
            .at("target_modules");
      matched.insert(target);
      wanted = true;
    }
    if (wanted) names.push_back(tensor.name);
  }
  for (const std::string& target : spec.target_modules)
    if (!all && !matched.contains(target))
      return fail(ErrorCode::kInvalidArgument, "no linear layer of a {} is called '{}'", config.architecture,
                  target)
          .at("target_modules");
  if (names.empty())
    return fail(ErrorCode::kInvalidArgument, "expected the names of linear layers, or \"all-linear\"")
        .at("target_modules");
  return names;
}

std::string peft_name(const std::string& tensor_name, const char* part) {
  return "base_model.model." + module_of(tensor_name) + "." + part;
}

void merge_adapter(const AdapterFactors& factors, const AdapterSpec& spec, int64_t n_out, int64_t n_in,
                   std::span<float> w_OI) {
  const double scale = spec.scale();
  std::vector<double> row(static_cast<size_t>(n_in));
  for (int64_t o = 0; o < n_out; ++o) {
    float* w = w_OI.data() + o * n_in;
    std::copy_n(w, n_in, row.begin());
    for (int64_t k = 0; k < spec.r; ++k) {
      const double b = scale * static_cast<double>(factors.b_Or[static_cast<size_t>(o * spec.r + k)]);
      const float* a = factors.a_rI.data() + k * n_in;
      for (int64_t i = 0; i < n_in; ++i) row[static_cast<size_t>(i)] += b * static_cast<double>(a[i]);
    }
    double by = 1;
    if (!factors.magnitude_O.empty()) {
      double squares = 0;
      for (const double x : row) squares += x * x;
      by = static_cast<double>(factors.magnitude_O[static_cast<size_t>(o)]) / std::sqrt(squares);
    }
    for (int64_t i = 0; i < n_in; ++i) w[i] = static_cast<float>(by * row[static_cast<size_t>(i)]);
  }
}

}  // namespace volant
