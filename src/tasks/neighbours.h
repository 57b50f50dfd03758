// The training examples that a model sees as most like an input: nearest by the cosine of its last hidden
// layer (as Papernot and McDaniel 2018 compare layers). They are kept beside the model when its workspace
// asks for it, since they show training rows to whoever may ask:
//   neighbours.safetensors  "vectors" [N, D], F16, of length 1
//   neighbours.jsonl        N rows of task.h: id, input ({} where it is long), label or target
// Brute force: N is bounded.
#pragma once
#include <span>
#include <vector>

#include "tasks/task.h"

namespace volant {

struct Neighbour {
  TaskRow row = {};       // its input is {} where it was too long to be kept
  double similarity = 0;  // cosine, -1 to 1
};

class Neighbours {
 public:
  static constexpr size_t kMaxRows = 20'000, kMaxNumbers = 16 << 20;  // in a folder

  static bool exist(const Path& model_folder);
  // kParse when the two files do not fit together or hold numbers that are not finite; kLimit.
  static Result<Neighbours> load(const Path& model_folder);
  // `vectors`: [rows, D] of any length. kInvalidArgument, kLimit.
  static Status write(const Path& model_folder, std::span<const TaskRow> rows,
                      std::span<const float> vectors);

  // The `n` nearest, the nearest first; equal ones in the order of the rows. `vector`: D numbers.
  Result<std::vector<Neighbour>> nearest(std::span<const float> vector, size_t n) const;
  size_t size() const { return rows_.size(); }

 private:
  std::vector<TaskRow> rows_;
  std::vector<float> vectors_;  // [N, D]
  size_t width_ = 0;
};

}  // namespace volant
