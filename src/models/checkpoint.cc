#include "models/checkpoint.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "io/safetensors.h"
#include "models/tensor_layout.h"
#include "text/chat_template.h"
#include "text/tokenizer_config.h"

namespace volant {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t n : shape) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text.empty() ? "a single number" : text;
}

Result<Json> read_json_file(const Path& path) {
  Result<std::string> text = read_file(path);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text);
  if (!json) return std::move(json).error().at(path.string());
  return json;
}

// The file's JSON, or null when there is no such file.
Result<Json> read_json_if_present(const Path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json(nullptr);
  return read_json_file(path);
}

}  // namespace

struct Checkpoint::State {
  Path path;
  ModelConfig config;
  SafetensorsFile safetensors;
  std::optional<GgufFile> gguf;
  Path gguf_path;
  bool forgot_text = false;
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::vector<std::byte>> reordered;  // tensors that the file holds in another order
  std::optional<std::string> chat_template;
  std::vector<int64_t> stop_ids;
  bool stop_ids_are_complete = false;  // said so by the file, no guess needed

  Status open_folder();
  Status open_gguf(const Path& file);
  Status take_gguf_tensors();
  Status check_tensors();
  Status transpose_some();
  std::vector<int32_t> stop_ids_with(const Tokenizer* tokenizer) const;
  void forget_pages(const std::string& name, const TensorView& view) const;
};

Status Checkpoint::State::open_folder() {
  const Json config_json = TRY(read_json_file(path / "config.json"));
  Result<ModelConfig> read = ModelConfig::from_json(config_json);
  if (!read) return std::move(read).error().at((path / "config.json").string());
  config = std::move(read).value();
  const ModelFamily& family = *config.family;
  safetensors = TRY(SafetensorsFile::open(path));
  std::map<std::string, const SafetensorsEntry*> entries;
  for (const auto& [name, entry] : safetensors.tensors())
    entries.emplace(family.canonical_name == nullptr ? name : family.canonical_name(name), &entry);
  if (family.look_at_tensors != nullptr)
    family.look_at_tensors(config, [&](const std::string& name) { return entries.contains(name); });
  std::set<std::string> own;
  for (const TensorSpec& spec : tensor_specs(config)) own.insert(spec.name);
  for (const auto& [name, found] : entries) {
    const SafetensorsEntry& entry = *found;
    const bool passed_over = family.may_be_left_over != nullptr && family.may_be_left_over(name);
    if (passed_over && !own.contains(name)) continue;
    Result<DType> dtype = dtype_from_safetensors(entry.dtype);
    if (!dtype) return std::move(dtype).error().at(fmt::format("tensor '{}'", name)).at(path.string());
    tensors.emplace(name, TensorView{*dtype, entry.shape, entry.bytes});
  }
  chat_template = TRY(load_chat_template(path));
  stop_ids = config.eos_token_ids;
  const Json generation = TRY(read_json_if_present(path / "generation_config.json"));
  if (const Json* eos = json_find(generation, "eos_token_id"); eos != nullptr) {
    if (eos->is_int64()) stop_ids.push_back(eos->as_int64());
    if (eos->is_array()) {
      for (const Json& id : eos->as_array()) {
        if (id.is_int64()) stop_ids.push_back(id.as_int64());
      }
    }
  }
  return {};
}

Status Checkpoint::State::open_gguf(const Path& file) {
  gguf = TRY(GgufFile::open(file));
  gguf_path = file;
  Result<ModelConfig> read = ModelConfig::from_gguf(*gguf);
  if (!read) return std::move(read).error().at(file.string());
  config = std::move(read).value();
  Status taken = take_gguf_tensors();
  if (!taken) return std::move(taken).error().at(file.string());
  if (gguf->contains("tokenizer.chat_template"))
    chat_template = TRY(gguf->get_string("tokenizer.chat_template"));
  stop_ids = config.eos_token_ids;
  // Our own exports name them all; llama.cpp passes over the key.
  if (const auto own = gguf->metadata().find("volant.stop_token_ids"); own != gguf->metadata().end()) {
    if (const auto* ids = std::get_if<std::vector<int64_t>>(&own->second)) {
      stop_ids = *ids;
      stop_ids_are_complete = true;
    }
  }
  return {};
}

Status Checkpoint::State::take_gguf_tensors() {
  std::set<std::string> taken{"rope_freqs.weight"};
  if (config.tie_word_embeddings) taken.insert("output.weight");  // a copy of the embedding
  for (const TensorSpec& spec : tensor_specs(config)) {
    const GgufRule rule = config.family->gguf_rule(config, spec.name);
    const auto found = gguf->tensors().find(rule.name);
    if (rule.name.empty() || found == gguf->tensors().end()) continue;  // check_tensors() names it
    taken.insert(rule.name);
    const auto take = [&]() -> Status {
      TensorView view{TRY(dtype_from_ggml(static_cast<uint32_t>(found->second.type))), found->second.shape,
                      found->second.bytes};
      if (rule.layout == GgufRule::Layout::kSlice) view = TRY(slice_of(rule, view));
      const bool as_it_is = rule.layout == GgufRule::Layout::kSame || rule.layout == GgufRule::Layout::kSlice;
      if (!as_it_is && view.shape == spec.shape) {
        std::vector<std::byte>& bytes = reordered[spec.name];
        bytes = TRY(from_gguf_layout(rule, view));
        view.bytes = bytes;
      }
      tensors.emplace(spec.name, std::move(view));
      return {};
    };
    Status done = take();
    if (!done) return std::move(done).error().at(fmt::format("tensor '{}'", rule.name));
  }
  for (const auto& [name, tensor] : gguf->tensors()) {
    if (!taken.contains(name))
      return fail(ErrorCode::kUnsupported, "tensor '{}' is not part of a {}", name, config.architecture);
  }
  return {};
}

// Shapes of what the file holds transposed are those of the file until transpose_some() has turned them.
Status Checkpoint::State::check_tensors() {
  std::vector<std::string> missing, extra;
  std::set<std::string> expected;
  std::string embed_name;
  for (const TensorSpec& spec : tensor_specs(config)) {
    const std::string& name = spec.name;
    std::vector<int64_t> shape = spec.shape;
    if (spec.transposed && !gguf) std::swap(shape[0], shape[1]);
    expected.insert(name);
    if (embed_name.empty() && spec.role == TensorRole::kEmbedding) embed_name = name;
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      missing.push_back(name);
      continue;
    }
    const TensorView& view = found->second;
    if (view.shape != shape) {
      return fail(ErrorCode::kParse, "tensor '{}': expected shape {}, got {}", name, shape_text(shape),
                  shape_text(view.shape));
    }
    if (view.dtype == DType::kI32) {
      return fail(ErrorCode::kUnsupported, "tensor '{}': type {} is not a type of weights", name,
                  dtype_info(view.dtype).name);
    }
  }
  for (const auto& [name, view] : tensors) {
    if (!expected.contains(name) && !(name == "lm_head.weight" && config.tie_word_embeddings))
      extra.push_back(name);
  }
  if (!missing.empty()) {
    return fail(ErrorCode::kParse, "{} tensors are missing, first '{}'", missing.size(), missing.front());
  }
  if (!extra.empty()) {
    return fail(ErrorCode::kParse, "{} tensors are not part of this model, first '{}'", extra.size(),
                extra.front());
  }
  const auto head = tensors.find("lm_head.weight");
  if (config.tie_word_embeddings && head != tensors.end()) {
    const TensorView& embed = tensors.at(embed_name);
    if (head->second.dtype != embed.dtype || !std::ranges::equal(head->second.bytes, embed.bytes)) {
      return fail(ErrorCode::kParse, "'lm_head.weight' differs from '{}', yet 'tie_word_embeddings' is true",
                  embed_name);
    }
    tensors.erase(head);
  }
  return {};
}

Status Checkpoint::State::transpose_some() {
  if (gguf) return {};
  for (const TensorSpec& spec : tensor_specs(config)) {
    if (!spec.transposed) continue;
    TensorView& view = tensors.at(spec.name);
    std::vector<std::byte>& bytes = reordered[spec.name];
    bytes = transposed(view);
    view = {view.dtype, spec.shape, bytes};
  }
  return {};
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

namespace {

// The one GGUF file of a folder without config.json, or `path` itself when it is a file.
Result<std::optional<Path>> find_gguf(const Path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return fail(ErrorCode::kNotFound, "no model there: expected a Hugging Face folder or a .gguf file")
        .at(path.string());
  }
  if (!std::filesystem::is_directory(path, error)) return std::optional<Path>(path);
  if (std::filesystem::exists(path / "config.json", error)) return std::optional<Path>();
  std::vector<Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path());
  }
  if (found.size() == 1) return std::optional<Path>(found[0]);
  return fail(ErrorCode::kNotFound,
              "expected config.json or exactly one .gguf file in the folder, found {} .gguf files",
              found.size())
      .at(path.string());
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const Path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  const std::optional<Path> gguf = TRY(find_gguf(path));
  TRY(gguf ? state->open_gguf(*gguf) : state->open_folder());
  Status checked = state->check_tensors();
  if (!checked) return std::move(checked).error().at(path.string());
  TRY(state->transpose_some());
  return Checkpoint(std::move(state));
}

const Path& Checkpoint::path() const { return state_->path; }
const ModelConfig& Checkpoint::config() const { return state_->config; }

Result<TensorView> Checkpoint::tensor(const std::string& hugging_face_name) const {
  const auto found = state_->tensors.find(hugging_face_name);
  if (found == state_->tensors.end()) {
    return fail(ErrorCode::kNotFound, "no tensor '{}'", hugging_face_name).at(state_->path.string());
  }
  return found->second;
}

Status Checkpoint::merge(const Adapter& adapter) {
  for (const auto& [name, factors] : adapter.factors) {
    TensorView& view = state_->tensors.at(name);
    std::vector<float> numbers = to_f32(view);
    merge_adapter(factors, adapter.spec, view.rows(), view.columns(), numbers);
    std::vector<std::byte>& bytes = state_->reordered[name];
    const auto merged = std::as_bytes(std::span<const float>(numbers));
    bytes.assign(merged.begin(), merged.end());
    view = {DType::kF32, view.shape, bytes};
  }
  return {};
}

std::vector<std::string> Checkpoint::tensor_names() const {
  std::vector<std::string> names;
  for (const auto& [name, view] : state_->tensors) names.push_back(name);
  return names;
}

Result<std::unique_ptr<Tokenizer>> Checkpoint::tokenizer() const {
  if (!state_->gguf) return load_tokenizer(state_->path);
  if (!state_->forgot_text) return load_tokenizer(*state_->gguf);
  const GgufFile again = TRY(GgufFile::open(state_->gguf_path));
  return load_tokenizer(again);
}

void Checkpoint::forget_text() {
  if (!state_->gguf) return;
  state_->gguf->forget("tokenizer.");
  state_->forgot_text = true;
}

std::string Checkpoint::chat_template() const {
  return state_->chat_template ? *state_->chat_template : default_chat_template();
}
bool Checkpoint::has_chat_template() const { return state_->chat_template.has_value(); }

std::vector<int32_t> Checkpoint::State::stop_ids_with(const Tokenizer* tokenizer) const {
  std::vector<int32_t> ids;
  for (const int64_t id : stop_ids) {
    if (id >= 0 && id < config.vocab_size) ids.push_back(static_cast<int32_t>(id));
  }
  // GGUF has room for few ending ids; the usual names of turn ends count too when the vocabulary has them.
  if (tokenizer != nullptr) {
    if (const std::optional<int32_t> eos = tokenizer->eos_id()) ids.push_back(*eos);
    if (gguf && !stop_ids_are_complete) {
      for (const char* name : {"<|end|>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>"}) {
        const std::optional<int32_t> id = tokenizer->token_id(name);
        if (id && tokenizer->is_special(*id)) ids.push_back(*id);
      }
    }
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}
std::vector<int32_t> Checkpoint::stop_ids() const {
  const Result<std::unique_ptr<Tokenizer>> text = tokenizer();
  return state_->stop_ids_with(text ? text->get() : nullptr);
}
std::vector<int32_t> Checkpoint::stop_ids(const Tokenizer& tokenizer) const {
  return state_->stop_ids_with(&tokenizer);
}

void Checkpoint::State::forget_pages(const std::string& name, const TensorView& view) const {
  if (reordered.contains(name)) return;  // not a view of the file
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(view.bytes.data()), end = begin + view.bytes.size();
  const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first < last)
    madvise(const_cast<std::byte*>(view.bytes.data()) + (first - begin), last - first, MADV_DONTNEED);
}
void Checkpoint::forget_pages(const std::string& name) const {
  if (const auto found = state_->tensors.find(name); found != state_->tensors.end())
    state_->forget_pages(name, found->second);
}

uint64_t Checkpoint::bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, view] : state_->tensors) bytes += view.bytes.size();
  return bytes;
}

std::string Checkpoint::dtype_name() const {
  std::map<DType, uint64_t> bytes;
  for (const auto& [name, view] : state_->tensors) bytes[view.dtype] += view.bytes.size();
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& each) { return each.second; });
  return most == bytes.end() ? "" : dtype_info(most->first).name;
}

}  // namespace volant
