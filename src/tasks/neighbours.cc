#include "tasks/neighbours.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "io/jsonl.h"
#include "io/safetensors.h"
#include "tensor/dtype.h"

namespace volant {
namespace {

constexpr const char* kVectors = "neighbours.safetensors";
constexpr const char* kRows = "neighbours.jsonl";
constexpr size_t kMaxInputBytes = 4096;  // of an input that is kept

// Divided by its length; a vector of zeros stays.
void make_unit(std::span<float> vector) {
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * static_cast<double>(x);
  if (!(squares > 0)) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& x : vector) x *= scale;
}

Result<std::vector<TaskRow>> read_rows(const Path& file) {
  std::vector<TaskRow> rows;
  for (const Json& json : TRY(read_jsonl(file))) {
    Result<TaskRow> row = parse_task_row(json);
    if (!row) return std::move(row).error().at(file.string());
    rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace

bool Neighbours::exist(const Path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / kVectors, ignored);
}

Status Neighbours::write(const Path& folder, std::span<const TaskRow> rows, std::span<const float> vectors) {
  if (rows.empty() || vectors.empty() || vectors.size() % rows.size() != 0)
    return fail(ErrorCode::kInvalidArgument, "expected as many numbers for each of {} rows, got {} in all",
                rows.size(), vectors.size());
  if (rows.size() > kMaxRows || vectors.size() > kMaxNumbers)
    return fail(ErrorCode::kLimit, "expected at most {} rows and {} numbers, got {} and {}", kMaxRows,
                kMaxNumbers, rows.size(), vectors.size());
  const size_t width = vectors.size() / rows.size();
  std::vector<float> units(vectors.begin(), vectors.end());
  for (size_t i = 0; i < rows.size(); ++i) make_unit(std::span(units).subspan(i * width, width));
  std::vector<uint16_t> halves(units.size());
  std::ranges::transform(units, halves.begin(), f32_to_f16);
  std::string lines;
  for (const TaskRow& row : rows) {
    TaskRow kept{.id = row.id, .input = JsonObject(), .label = row.label, .target = row.target};
    if (dump_json(row.input).size() <= kMaxInputBytes) kept.input = row.input;
    lines += dump_json(to_json(kept)) + "\n";
  }
  TRY(write_file_atomic(folder / kRows, lines));
  return write_safetensors(folder / kVectors,
                           {{"vectors",
                             {"F16",
                              {static_cast<int64_t>(rows.size()), static_cast<int64_t>(width)},
                              std::as_bytes(std::span<const uint16_t>(halves))}}});
}

Result<Neighbours> Neighbours::load(const Path& folder) {
  const SafetensorsFile file = TRY(SafetensorsFile::open(folder / kVectors));
  const auto found = file.tensors().find("vectors");
  Neighbours out;
  out.rows_ = TRY(read_rows(folder / kRows));
  const size_t n = out.rows_.size();
  if (found == file.tensors().end() || found->second.dtype != "F16" || found->second.shape.size() != 2 ||
      n == 0 || std::cmp_not_equal(found->second.shape[0], n) || found->second.shape[1] < 1)
    return fail(ErrorCode::kParse, "expected 'vectors', F16 [{}, width]: one for each line of {}", n, kRows)
        .at((folder / kVectors).string());
  out.width_ = static_cast<size_t>(found->second.shape[1]);
  if (n > kMaxRows || out.width_ > kMaxNumbers / n)
    return fail(ErrorCode::kLimit, "expected at most {} rows and {} numbers, got {} rows of {}", kMaxRows,
                kMaxNumbers, n, out.width_)
        .at((folder / kVectors).string());
  out.vectors_.resize(n * out.width_);
  to_f32(DType::kF16, found->second.bytes.data(), std::ssize(out.vectors_), out.vectors_.data());
  if (!std::ranges::all_of(out.vectors_, [](float x) { return std::isfinite(x); }))
    return fail(ErrorCode::kParse, "expected finite numbers in 'vectors'").at((folder / kVectors).string());
  return out;
}

Result<std::vector<Neighbour>> Neighbours::nearest(std::span<const float> vector, size_t n) const {
  if (vector.size() != width_)
    return fail(ErrorCode::kInvalidArgument, "the model gives {} numbers, its neighbours have {}",
                vector.size(), width_);
  std::vector<float> unit(vector.begin(), vector.end());
  make_unit(unit);
  std::vector<double> cosines(rows_.size());
  for (size_t i = 0; i < rows_.size(); ++i)
    cosines[i] = std::inner_product(
        unit.begin(), unit.end(), vectors_.begin() + static_cast<ptrdiff_t>(i * width_), 0.0, std::plus<>(),
        [](float a, float b) { return static_cast<double>(a) * static_cast<double>(b); });
  for (double& cosine : cosines)
    if (!std::isfinite(cosine)) cosine = -1;  // of an input whose numbers are not finite
  std::vector<size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  n = std::min(n, order.size());
  std::ranges::partial_sort(order, order.begin() + static_cast<ptrdiff_t>(n), [&](size_t a, size_t b) {
    return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b;
  });
  std::vector<Neighbour> out;
  for (size_t i = 0; i < n; ++i) out.push_back({rows_[order[i]], cosines[order[i]]});
  return out;
}

}  // namespace volant
