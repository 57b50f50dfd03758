#include "io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/json.h"
#include "io/atomic_file.h"

namespace volant {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation
constexpr size_t kMaxRank = 16;
constexpr size_t kMaxShards = 1000;
constexpr size_t kAlignment = 64;

// Bytes of one number, or 0 for a word that is not known.
uint64_t word_bytes(std::string_view dtype) {
  for (const char* word : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"}) {
    if (dtype == word) return 1;
  }
  for (const char* word : {"I16", "U16", "F16", "BF16"}) {
    if (dtype == word) return 2;
  }
  for (const char* word : {"I32", "U32", "F32"}) {
    if (dtype == word) return 4;
  }
  for (const char* word : {"I64", "U64", "F64"}) {
    if (dtype == word) return 8;
  }
  return 0;
}

// Bytes that dtype and shape need.
Result<uint64_t> tensor_bytes(const std::string& dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = word_bytes(dtype);
  if (bytes == 0) return fail(ErrorCode::kUnsupported, "unknown dtype '{}'", dtype);
  if (shape.size() > kMaxRank)
    return fail(ErrorCode::kLimit, "expected at most {} dimensions, got {}", kMaxRank, shape.size());
  for (const int64_t d : shape) {
    if (d < 0) return fail(ErrorCode::kParse, "expected dimensions of 0 or more, got {}", d);
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(d), &bytes)) {
      return fail(ErrorCode::kParse, "the shape has more numbers than a file can hold");
    }
  }
  return bytes;
}

// Members of all objects in `value`.
size_t count_members(const Json& value) {
  size_t n = 0;
  if (const auto* object = value.if_object()) {
    n += object->size();
    for (const auto& field : *object) n += count_members(field.value());
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) n += count_members(item);
  }
  return n;
}

// Colons outside strings of a valid JSON text: one per member, so more than count_members() means a name came
// twice (the parser keeps only the last).
size_t count_colons(std::string_view json) {
  size_t n = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    if (in_string && json[i] == '\\') {
      ++i;
    } else if (json[i] == '"') {
      in_string = !in_string;
    } else if (json[i] == ':' && !in_string) {
      ++n;
    }
  }
  return n;
}

struct Range {
  uint64_t begin, end;
  std::string name;
};

Result<Range> parse_entry(const std::string& name, const Json& json, std::span<const std::byte> data,
                          SafetensorsEntry& entry) {
  entry.dtype = TRY(json_string(json, "dtype"));
  const Json* shape = json_find(json, "shape");
  const Json* offsets = json_find(json, "data_offsets");
  if (shape == nullptr || !shape->is_array())
    return fail(ErrorCode::kParse, "expected field 'shape', an array");
  if (offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2) {
    return fail(ErrorCode::kParse, "expected field 'data_offsets', an array of two integers");
  }
  const auto to_size = [](const Json& number) -> Result<int64_t> {
    if (number.is_int64() && number.get_int64() >= 0) return number.get_int64();
    return fail(ErrorCode::kParse, "expected shape and offsets to be integers of 0 or more");
  };
  for (const Json& d : shape->get_array()) entry.shape.push_back(TRY(to_size(d)));
  const uint64_t bytes = TRY(tensor_bytes(entry.dtype, entry.shape));
  const auto begin = static_cast<uint64_t>(TRY(to_size(offsets->get_array()[0])));
  const auto end = static_cast<uint64_t>(TRY(to_size(offsets->get_array()[1])));
  if (begin > end || end > data.size()) {
    return fail(ErrorCode::kParse, "expected data_offsets inside the {} data bytes of the file, got {} to {}",
                data.size(), begin, end);
  }
  if (end - begin != bytes) {
    return fail(ErrorCode::kParse, "dtype {} and shape need {} bytes, data_offsets hold {}", entry.dtype,
                bytes, end - begin);
  }
  entry.bytes = data.subspan(begin, bytes);
  return Range{begin, end, name};
}

// The data must be covered exactly once: an overlap or a hole means a damaged or forged header.
Status check_cover(std::vector<Range> ranges, uint64_t data_bytes) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t at = 0;
  for (const Range& range : ranges) {
    if (range.begin < at)
      return fail(ErrorCode::kParse, "its data overlaps another tensor's").at("tensor '" + range.name + "'");
    if (range.begin > at) {
      return fail(ErrorCode::kParse, "{} data bytes before it belong to no tensor", range.begin - at)
          .at("tensor '" + range.name + "'");
    }
    at = range.end;
  }
  if (at != data_bytes)
    return fail(ErrorCode::kParse, "{} data bytes at the end belong to no tensor", data_bytes - at);
  return {};
}

using Tensors = std::map<std::string, SafetensorsEntry>;
using Metadata = std::map<std::string, std::string>;

Status parse_file(std::span<const std::byte> bytes, Tensors& tensors, Metadata& metadata) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) {
    return fail(ErrorCode::kParse, "expected a safetensors file of at least 8 bytes, got {}", bytes.size());
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    return fail(ErrorCode::kParse, "expected a header of at most {} bytes, got {}: not a safetensors file?",
                kMaxHeaderBytes, header_bytes);
  }
  if (header_bytes > bytes.size() - sizeof header_bytes) {
    return fail(ErrorCode::kParse,
                "expected a header of {} bytes, the file holds {} after its first 8: cut off?", header_bytes,
                bytes.size() - sizeof header_bytes);
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
  Result<Json> parsed = parse_json(header);
  if (!parsed) return std::move(parsed).error().at("header");
  const Json& json = *parsed;
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected the header to be a JSON object");
  if (count_colons(header) != count_members(json))
    return fail(ErrorCode::kParse, "a name comes twice in the header");
  std::vector<Range> ranges;
  for (const auto& field : json.get_object()) {
    const std::string name(field.key());
    if (name == "__metadata__") {
      if (!field.value().is_object())
        return fail(ErrorCode::kParse, "expected __metadata__ to be an object of strings");
      for (const auto& item : field.value().get_object()) {
        if (!item.value().is_string())
          return fail(ErrorCode::kParse, "expected __metadata__ to be an object of strings");
        metadata[std::string(item.key())] = std::string(item.value().get_string());
      }
      continue;
    }
    SafetensorsEntry entry;
    Result<Range> range = parse_entry(name, field.value(), data, entry);
    if (!range) return std::move(range).error().at("tensor '" + name + "'");
    ranges.push_back(std::move(range).value());
    if (!tensors.emplace(name, std::move(entry)).second) {
      return fail(ErrorCode::kParse, "it is in two files of the folder").at("tensor '" + name + "'");
    }
  }
  return check_cover(std::move(ranges), data.size());
}

// The files that an index names; plain names of the same folder only.
Result<std::vector<Path>> shards_of(const Path& folder, const Path& index_path,
                                    std::map<std::string, std::string>& map) {
  Result<Json> index = parse_json(TRY(read_file(index_path)));
  if (!index) return std::move(index).error().at(index_path.string());
  const Json* weight_map = json_find(*index, "weight_map");
  if (weight_map == nullptr || !weight_map->is_object()) {
    return fail(ErrorCode::kParse, "expected field 'weight_map', an object").at(index_path.string());
  }
  std::set<std::string> names;
  for (const auto& field : weight_map->get_object()) {
    if (!field.value().is_string())
      return fail(ErrorCode::kParse, "expected file names in weight_map").at(index_path.string());
    std::string name(field.value().get_string());
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      return fail(ErrorCode::kParse, "expected weight_map to name files of its folder, got '{}'", name)
          .at(index_path.string());
    }
    map.emplace(std::string(field.key()), name);
    names.insert(std::move(name));
  }
  if (names.size() > kMaxShards) {
    return fail(ErrorCode::kLimit, "expected at most {} files, weight_map names {}", kMaxShards, names.size())
        .at(index_path.string());
  }
  std::vector<Path> paths;
  for (const std::string& name : names) paths.push_back(folder / name);
  return paths;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const Path& file_or_folder) {
  std::vector<Path> paths{file_or_folder};
  std::map<std::string, std::string> weight_map;
  std::error_code ignored;
  if (std::filesystem::is_directory(file_or_folder, ignored)) {
    const Path index = file_or_folder / "model.safetensors.index.json";
    paths = {file_or_folder / "model.safetensors"};
    if (!std::filesystem::exists(paths[0], ignored)) {
      if (!std::filesystem::exists(index, ignored)) {
        return fail(ErrorCode::kNotFound,
                    "expected model.safetensors or model.safetensors.index.json in the folder")
            .at(file_or_folder.string());
      }
      paths = TRY(shards_of(file_or_folder, index, weight_map));
    }
  }
  SafetensorsFile file;
  for (const Path& path : paths) {
    MappedFile mapped = TRY(MappedFile::open(path));
    Status parsed = parse_file(mapped.bytes(), file.tensors_, file.metadata_);
    if (!parsed) return std::move(parsed).error().at(path.string());
    file.files_.push_back(std::move(mapped));
  }
  for (const auto& [name, shard] : weight_map) {
    if (!file.tensors_.contains(name)) {
      return fail(ErrorCode::kParse, "the index promises tensor '{}' in {}, and it is not there", name, shard)
          .at(file_or_folder.string());
    }
  }
  return file;
}

Status write_safetensors(const Path& path, const Tensors& tensors, const Metadata& metadata) {
  JsonObject header;
  if (!metadata.empty()) {
    JsonObject object;
    for (const auto& [key, value] : metadata) object[key] = value;
    header["__metadata__"] = std::move(object);
  }
  uint64_t at = 0;
  for (const auto& [name, entry] : tensors) {
    Result<uint64_t> bytes = tensor_bytes(entry.dtype, entry.shape);
    if (!bytes || *bytes != entry.bytes.size() || name == "__metadata__") {
      return fail(ErrorCode::kInvalidArgument,
                  "expected bytes of the size that dtype {} and the shape give, got {}", entry.dtype,
                  entry.bytes.size())
          .at("tensor '" + name + "'");
    }
    JsonArray shape(entry.shape.begin(), entry.shape.end());
    header[name] = JsonObject{
        {"dtype", entry.dtype}, {"shape", std::move(shape)}, {"data_offsets", JsonArray{at, at + *bytes}}};
    at += *bytes;
  }
  std::string text = dump_json(Json(std::move(header)));
  text.resize((8 + text.size() + kAlignment - 1) / kAlignment * kAlignment - 8, ' ');
  if (text.size() > kMaxHeaderBytes)
    return fail(ErrorCode::kLimit, "the header would be over {} bytes", kMaxHeaderBytes);
  AtomicFile file = TRY(AtomicFile::create(path));
  const uint64_t size = text.size();
  TRY(file.write(std::string_view(reinterpret_cast<const char*>(&size), sizeof size)));
  TRY(file.write(text));
  for (const auto& [name, entry] : tensors) {
    TRY(file.write(std::string_view(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size())));
  }
  return file.commit();
}

}  // namespace volant
