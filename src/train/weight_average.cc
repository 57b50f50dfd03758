#include "train/weight_average.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "io/safetensors.h"

namespace volant {
namespace {

// The files of `folder`, oldest first: their names hold the step.
Result<std::vector<Path>> files_of(const Path& folder) {
  std::vector<Path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

MovingAverage::MovingAverage(const TorchModel& model, double decay) : decay_(decay) {
  for (const auto& p : model.kept())
    std::ranges::copy(p.values, average_.emplace_back(p.values.size()).begin());
}

void MovingAverage::update(const TorchModel& model, int64_t step) {
  const double n = static_cast<double>(step);
  const auto keep = static_cast<float>(std::min(decay_, (1 + n) / (10 + n)));
  for (size_t i = 0; i < average_.size(); ++i) {
    const std::span<const float> values = model.kept()[i].values;
    const torch_ops::Numbers& average = average_[i];
    for (size_t j = 0; j < average.size(); ++j) average[j] = keep * average[j] + (1 - keep) * values[j];
  }
}

void MovingAverage::swap(TorchModel& model) {
  for (size_t i = 0; i < average_.size(); ++i)
    std::swap_ranges(average_[i].begin(), average_[i].end(), model.kept()[i].values.begin());
  model.weights_changed();
}

std::vector<Optimizer::Slot> MovingAverage::slots(const TorchModel& model) {
  std::vector<Optimizer::Slot> slots;
  add_slots("ema", model.kept(), average_, slots);
  return slots;
}

Status keep_recent(const Path& folder, int64_t n, const TorchModel& model, int64_t step) {
  TRY(make_dirs(folder));
  std::map<std::string, SafetensorsEntry> tensors;
  for (const auto& p : model.kept()) tensors[p.spec.name] = {"F32", p.spec.shape, std::as_bytes(p.values)};
  TRY(write_safetensors(folder / fmt::format("step-{:012}.safetensors", step), tensors));
  const std::vector<Path> files = TRY(files_of(folder));
  for (size_t i = 0; std::cmp_less(i + static_cast<size_t>(n), files.size()); ++i)
    TRY(volant::remove_all(files[i]));
  return {};
}

Result<int64_t> average_recent(const Path& folder, TorchModel& model) {
  const std::vector<Path> files = TRY(files_of(folder));
  if (files.empty()) return 0;
  std::vector<std::vector<double>> sums;
  for (const auto& p : model.kept()) sums.emplace_back(p.values.size());
  for (const Path& path : files) {
    const SafetensorsFile file = TRY(SafetensorsFile::open(path));
    for (size_t i = 0; i < sums.size(); ++i) {
      const auto& spec = model.kept()[i].spec;
      const auto found = file.tensors().find(spec.name);
      if (found == file.tensors().end() || found->second.dtype != "F32" || found->second.shape != spec.shape)
        return fail(ErrorCode::kParse, "expected a tensor '{}' as in this model", spec.name)
            .at(path.string());
      std::vector<float> values(sums[i].size());
      std::memcpy(values.data(), found->second.bytes.data(), values.size() * sizeof(float));
      for (size_t j = 0; j < values.size(); ++j) sums[i][j] += static_cast<double>(values[j]);
    }
  }
  const double share = 1 / static_cast<double>(files.size());
  for (size_t i = 0; i < sums.size(); ++i)
    for (size_t j = 0; j < sums[i].size(); ++j)
      model.kept()[i].values[j] = static_cast<float>(sums[i][j] * share);
  model.weights_changed();
  return static_cast<int64_t>(files.size());
}

}  // namespace volant
