// The training examples that are kept beside a model: up to an empty line neighbours.jsonl, behind it
// neighbours.safetensors.
#include <cmath>

#include "fuzz/fuzz_input.h"
#include "tasks/neighbours.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const size_t end = std::min(text.find("\n\n"), text.size());
  const Path folder = fuzz::folder().put("neighbours.jsonl", text.substr(0, end)).parent_path();
  fuzz::folder().put("neighbours.safetensors", text.substr(std::min(end + 2, text.size())));
  const Result<Neighbours> neighbours = Neighbours::load(folder);
  if (!neighbours) return 0;
  fuzz::require(neighbours->size() > 0 && neighbours->size() <= Neighbours::kMaxRows,
                "rows within the limit");
  constexpr size_t kWidest = 16;
  for (size_t width = 1; width <= kWidest; ++width) {
    const Result<std::vector<Neighbour>> found = neighbours->nearest(std::vector<float>(width, 0.5F), 3);
    if (!found) continue;  // of another width
    fuzz::require(found->size() == std::min<size_t>(3, neighbours->size()), "as many as there are");
    for (const Neighbour& each : *found) fuzz::require(std::isfinite(each.similarity), "cosines are numbers");
  }
  return 0;
}
