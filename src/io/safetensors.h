// safetensors (huggingface.co/docs/safetensors): 8-byte header length, JSON header, raw little-endian data.
// Every name, dtype, shape and offset is checked against the file's size before use.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/mapped_file.h"

namespace volant {

// One tensor as the file has it. `dtype` is the format's own word: "F32", "F16", "BF16", "I64", ...
struct SafetensorsEntry {
  std::string dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // may start at any address: not aligned
};

// A `.safetensors` file, or all shards of a folder (`model.safetensors`, or the files that
// `model.safetensors.index.json` names). Tensors stay valid as long as this object.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const Path& file_or_folder);
  const std::map<std::string, SafetensorsEntry>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::vector<MappedFile> files_;
  std::map<std::string, SafetensorsEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes tensors in name order, 64-byte aligned data, aside and renamed. `bytes` must have the size that
// dtype and shape give.
Status write_safetensors(const Path& path, const std::map<std::string, SafetensorsEntry>& tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace volant
