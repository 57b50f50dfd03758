#include "models/checkpoint.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "io/safetensors.h"
#include "models/llama.h"
#include "text/chat_template.h"

namespace volant {
namespace {

// Ops that only lets Llama name its tensors.
struct NamesOnly {
  struct Act {};
  struct Weight {};
  Act embed(const Weight&, std::span<const int32_t>);
  Act linear(const Act&, const Weight&);
  Act rms_norm(const Act&, const Weight&, float);
  Act rope(const Act&, const Batch&, const RopeSpec&);
  Act attention(const Act&, const Act&, const Act&, const Batch&, const AttentionSpec&);
  Act silu_mul(const Act&, const Act&);
  Act add(const Act&, const Act&);
  Act take_rows(const Act&, std::span<const int32_t>);
};

std::map<std::string, std::vector<int64_t>> expected_tensors(const LlamaConfig& config) {
  std::map<std::string, std::vector<int64_t>> expected;
  const Llama<NamesOnly> model(config);
  Llama<NamesOnly>::visit(model, [&](const std::string& name, const std::vector<int64_t>& shape,
                                     const auto&) { expected.emplace(name, shape); });
  return expected;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t n : shape) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text.empty() ? "a single number" : text;
}

bool may_be_left_over(const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq") || name == "rope_freqs.weight";
}

struct NamePair {
  const char* hugging_face;
  const char* gguf;
};
constexpr NamePair kTopNames[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};
constexpr NamePair kLayerNames[] = {
    {"input_layernorm.weight", "attn_norm.weight"},    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},      {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"}, {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},       {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
};

std::string hugging_face_tensor_name(const std::string& gguf) {
  for (const NamePair& pair : kTopNames) {
    if (gguf == pair.gguf) return pair.hugging_face;
  }
  if (!gguf.starts_with("blk.")) return {};
  const size_t dot = gguf.find('.', 4);
  if (dot == std::string::npos) return {};
  for (const NamePair& pair : kLayerNames) {
    if (gguf.substr(dot + 1) == pair.gguf) {
      return "model.layers." + gguf.substr(4, dot - 4) + "." + pair.hugging_face;
    }
  }
  return {};
}

// GGUF files of Llama hold the two halves of each head of q and k interleaved, row by row; back to halves.
std::vector<std::byte> unpermute(const TensorView& view, int64_t n_head) {
  const auto row_size = row_bytes(view.dtype, view.columns());
  const int64_t head_dim = view.rows() / n_head, half = head_dim / 2;
  std::vector<std::byte> rows(view.bytes.size());
  for (int64_t row = 0; row < view.rows(); ++row) {
    const int64_t head = row / head_dim, i = row % head_dim;
    const int64_t from = head * head_dim + (i % half) * 2 + i / half;
    std::memcpy(rows.data() + static_cast<size_t>(row) * row_size,
                view.bytes.data() + static_cast<size_t>(from) * row_size, row_size);
  }
  return rows;
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

// "chat_template": a text, or a list of {"name", "template"} of which "default" counts.
std::optional<std::string> read_template(const Json& tokenizer_config) {
  const Json* value = json_find(tokenizer_config, "chat_template");
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::string(value->as_string());
  if (!value->is_array()) return std::nullopt;
  for (const Json& each : value->as_array()) {
    const Result<std::string> name = json_string(each, "name");
    Result<std::string> source = json_string(each, "template");
    if (name && source && *name == "default") return std::move(source).value();
  }
  return std::nullopt;
}

}  // namespace

std::string gguf_tensor_name(const std::string& hugging_face_name) {
  for (const NamePair& pair : kTopNames) {
    if (hugging_face_name == pair.hugging_face) return pair.gguf;
  }
  constexpr std::string_view kPrefix = "model.layers.";
  if (!hugging_face_name.starts_with(kPrefix)) return {};
  const size_t dot = hugging_face_name.find('.', kPrefix.size());
  if (dot == std::string::npos) return {};
  for (const NamePair& pair : kLayerNames) {
    if (hugging_face_name.substr(dot + 1) == pair.hugging_face) {
      return "blk." + hugging_face_name.substr(kPrefix.size(), dot - kPrefix.size()) + "." + pair.gguf;
    }
  }
  return {};
}

struct Checkpoint::State {
  Path path;
  LlamaConfig config;
  SafetensorsFile safetensors;
  std::optional<GgufFile> gguf;
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::vector<std::byte>> reordered;  // q and k of GGUF, in Hugging Face order
  std::optional<std::string> chat_template;
  std::vector<int64_t> stop_ids;
  bool stop_ids_are_complete = false;  // said so by the file, no guess needed

  Status open_folder();
  Status open_gguf(const Path& file);
  Status check_tensors();
  Status reorder(const std::string& name, int64_t n_head);
};

Status Checkpoint::State::open_folder() {
  const Json config_json = TRY(read_json_file(path / "config.json"));
  Result<LlamaConfig> read = LlamaConfig::from_json(config_json);
  if (!read) return std::move(read).error().at((path / "config.json").string());
  config = std::move(read).value();
  safetensors = TRY(SafetensorsFile::open(path));
  for (const auto& [name, entry] : safetensors.tensors()) {
    if (may_be_left_over(name)) continue;
    Result<DType> dtype = dtype_from_safetensors(entry.dtype);
    if (!dtype) return std::move(dtype).error().at(fmt::format("tensor '{}'", name)).at(path.string());
    tensors.emplace(name, TensorView{*dtype, entry.shape, entry.bytes});
  }
  const Json tokenizer_config = TRY(read_json_if_present(path / "tokenizer_config.json"));
  chat_template = read_template(tokenizer_config);
  std::error_code ignored;
  if (!chat_template && std::filesystem::exists(path / "chat_template.jinja", ignored)) {
    chat_template = TRY(read_file(path / "chat_template.jinja"));
  }
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
  Result<LlamaConfig> read = LlamaConfig::from_gguf(*gguf);
  if (!read) return std::move(read).error().at(file.string());
  config = std::move(read).value();
  for (const auto& [name, tensor] : gguf->tensors()) {
    if (may_be_left_over(name)) continue;
    std::string hf_name = hugging_face_tensor_name(name);
    if (hf_name.empty()) {
      return fail(ErrorCode::kUnsupported, "tensor '{}' is not part of a Llama", name).at(file.string());
    }
    Result<DType> dtype = dtype_from_ggml(static_cast<uint32_t>(tensor.type));
    if (!dtype) return std::move(dtype).error().at(fmt::format("tensor '{}'", name)).at(file.string());
    tensors.emplace(std::move(hf_name), TensorView{*dtype, tensor.shape, tensor.bytes});
  }
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

Status Checkpoint::State::check_tensors() {
  const auto expected = expected_tensors(config);
  std::vector<std::string> missing, extra;
  for (const auto& [name, shape] : expected) {
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
    const TensorView& embed = tensors.at("model.embed_tokens.weight");
    if (head->second.dtype != embed.dtype || !std::ranges::equal(head->second.bytes, embed.bytes)) {
      return fail(
          ErrorCode::kParse,
          "'lm_head.weight' differs from 'model.embed_tokens.weight', yet 'tie_word_embeddings' is true");
    }
    tensors.erase(head);
  }
  return {};
}

Status Checkpoint::State::reorder(const std::string& name, int64_t n_head) {
  TensorView& view = tensors.at(name);
  std::vector<std::byte>& rows = reordered[name];
  rows = unpermute(view, n_head);
  view.bytes = rows;
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
  if (gguf) {
    const LlamaConfig& c = state->config;
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
      const std::string prefix = "model.layers." + std::to_string(i) + ".self_attn.";
      TRY(state->reorder(prefix + "q_proj.weight", c.num_attention_heads));
      TRY(state->reorder(prefix + "k_proj.weight", c.num_key_value_heads));
    }
  }
  return Checkpoint(std::move(state));
}

const Path& Checkpoint::path() const { return state_->path; }
const LlamaConfig& Checkpoint::config() const { return state_->config; }

Result<TensorView> Checkpoint::tensor(const std::string& hugging_face_name) const {
  const auto found = state_->tensors.find(hugging_face_name);
  if (found == state_->tensors.end()) {
    return fail(ErrorCode::kNotFound, "no tensor '{}'", hugging_face_name).at(state_->path.string());
  }
  return found->second;
}

std::vector<std::string> Checkpoint::tensor_names() const {
  std::vector<std::string> names;
  for (const auto& [name, view] : state_->tensors) names.push_back(name);
  return names;
}

Result<std::unique_ptr<Tokenizer>> Checkpoint::tokenizer() const {
  return state_->gguf ? load_tokenizer(*state_->gguf) : load_tokenizer(state_->path);
}

std::string Checkpoint::chat_template() const {
  return state_->chat_template ? *state_->chat_template : default_chat_template();
}
bool Checkpoint::has_chat_template() const { return state_->chat_template.has_value(); }

std::vector<int32_t> Checkpoint::stop_ids() const {
  std::vector<int32_t> ids;
  for (const int64_t id : state_->stop_ids) {
    if (id >= 0 && id < state_->config.vocab_size) ids.push_back(static_cast<int32_t>(id));
  }
  // GGUF has room for few ending ids; the usual names of turn ends count too when the vocabulary has them.
  if (const Result<std::unique_ptr<Tokenizer>> text = tokenizer(); text) {
    if (const std::optional<int32_t> eos = (*text)->eos_id()) ids.push_back(*eos);
    if (state_->gguf && !state_->stop_ids_are_complete) {
      for (const char* name : {"<|end|>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>"}) {
        const std::optional<int32_t> id = (*text)->token_id(name);
        if (id && (*text)->is_special(*id)) ids.push_back(*id);
      }
    }
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

void Checkpoint::forget_pages() const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const auto& [name, view] : state_->tensors) {
    if (state_->reordered.contains(name)) continue;  // not a view of the file
    const auto begin = reinterpret_cast<uintptr_t>(view.bytes.data()), end = begin + view.bytes.size();
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
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
