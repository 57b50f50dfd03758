// Checkpoints in both formats from the same small model, and files that are wrong in one thing each.
#include "models/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "base/random.h"
#include "io/safetensors.h"
#include "models/family.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

struct Tensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};
using Tensors = std::map<std::string, Tensor>;

Tensor random_tensor(Random& random, std::vector<int64_t> shape, DType dtype = DType::kF32) {
  Tensor t{dtype, std::move(shape), {}};
  const TensorView view{dtype, t.shape, {}};
  std::vector<float> row(static_cast<size_t>(view.columns()));
  t.bytes.resize(row_bytes(dtype, view.columns()) * static_cast<size_t>(view.rows()));
  for (int64_t r = 0; r < view.rows(); ++r) {
    for (float& v : row) v = static_cast<float>(random.normal());
    from_f32(dtype, row.data(), view.columns(),
             t.bytes.data() + static_cast<size_t>(r) * row_bytes(dtype, view.columns()));
  }
  return t;
}

constexpr int64_t kHidden = 64, kInner = 96, kVocab = 32, kHeads = 4, kKvHeads = 2, kHeadDim = 16;

ModelConfig small_config() {
  ModelConfig c;
  c.vocab_size = kVocab;
  c.hidden_size = kHidden;
  c.intermediate_size = kInner;
  c.num_hidden_layers = 1;
  c.num_attention_heads = kHeads;
  c.num_key_value_heads = kKvHeads;
  c.head_dim = kHeadDim;
  c.max_position_embeddings = 64;
  c.eos_token_ids = {2};
  return c;
}

Tensors small_tensors(DType dtype = DType::kF32) {
  Random random(5);
  const std::string layer = "model.layers.0.";
  return {{"model.embed_tokens.weight", random_tensor(random, {kVocab, kHidden}, dtype)},
          {layer + "input_layernorm.weight", random_tensor(random, {kHidden})},
          {layer + "self_attn.q_proj.weight", random_tensor(random, {kHeads * kHeadDim, kHidden}, dtype)},
          {layer + "self_attn.k_proj.weight", random_tensor(random, {kKvHeads * kHeadDim, kHidden}, dtype)},
          {layer + "self_attn.v_proj.weight", random_tensor(random, {kKvHeads * kHeadDim, kHidden}, dtype)},
          {layer + "self_attn.o_proj.weight", random_tensor(random, {kHidden, kHeads * kHeadDim}, dtype)},
          {layer + "post_attention_layernorm.weight", random_tensor(random, {kHidden})},
          {layer + "mlp.gate_proj.weight", random_tensor(random, {kInner, kHidden}, dtype)},
          {layer + "mlp.up_proj.weight", random_tensor(random, {kInner, kHidden}, dtype)},
          {layer + "mlp.down_proj.weight", random_tensor(random, {kHidden, kInner}, dtype)},
          {"model.norm.weight", random_tensor(random, {kHidden})},
          {"lm_head.weight", random_tensor(random, {kVocab, kHidden}, dtype)}};
}

const char* safetensors_word(DType dtype) {
  return dtype == DType::kF32 ? "F32" : dtype == DType::kF16 ? "F16" : "BF16";
}

void write_folder(const Path& folder, const ModelConfig& config, const Tensors& tensors) {
  ASSERT_TRUE(write_file_atomic(folder / "config.json", dump_json(config.to_json())));
  std::map<std::string, SafetensorsEntry> entries;
  for (const auto& [name, t] : tensors) entries[name] = {safetensors_word(t.dtype), t.shape, t.bytes};
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", entries));
}

// llama.cpp's order of q and k rows: pairs of the two halves of a head side by side.
std::vector<std::byte> interleave(const Tensor& t, int64_t n_head) {
  const size_t size = row_bytes(t.dtype, t.shape[1]);
  const int64_t head_dim = t.shape[0] / n_head, half = head_dim / 2;
  std::vector<std::byte> rows(t.bytes.size());
  for (int64_t h = 0; h < n_head; ++h) {
    for (int64_t i = 0; i < half; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        const auto to = static_cast<size_t>(h * head_dim + 2 * i + j),
                   from = static_cast<size_t>(h * head_dim + j * half + i);
        std::memcpy(rows.data() + to * size, t.bytes.data() + from * size, size);
      }
    }
  }
  return rows;
}

void write_gguf_file(const Path& path, const ModelConfig& c, Tensors tensors,
                     const std::string& architecture = "llama", const std::vector<GgufField>& more = {}) {
  tensors["model.layers.0.self_attn.q_proj.weight"].bytes =
      interleave(tensors["model.layers.0.self_attn.q_proj.weight"], kHeads);
  tensors["model.layers.0.self_attn.k_proj.weight"].bytes =
      interleave(tensors["model.layers.0.self_attn.k_proj.weight"], kKvHeads);
  using Type = GgufField::Type;
  const auto number = [](const char* key, int64_t value) {
    return GgufField{key, Type::kU32, static_cast<uint64_t>(value)};
  };
  std::vector<GgufField> fields{
      {"general.architecture", Type::kString, architecture},
      number("llama.embedding_length", c.hidden_size),
      number("llama.block_count", c.num_hidden_layers),
      number("llama.feed_forward_length", c.intermediate_size),
      number("llama.attention.head_count", c.num_attention_heads),
      number("llama.attention.head_count_kv", c.num_key_value_heads),
      number("llama.context_length", c.max_position_embeddings),
      {"llama.attention.layer_norm_rms_epsilon", Type::kF32, std::get<LlamaFields>(c.own).rms_norm_eps},
      {"tokenizer.chat_template", Type::kString, std::string("{{ messages }}")},
  };
  fields.insert(fields.end(), more.begin(), more.end());
  std::vector<GgufOutTensor> out;
  for (const auto& [name, t] : tensors) {
    const GgmlType type = t.dtype == DType::kQ8_0   ? GgmlType::kQ8_0
                          : t.dtype == DType::kF16  ? GgmlType::kF16
                          : t.dtype == DType::kBF16 ? GgmlType::kBF16
                                                    : GgmlType::kF32;
    out.push_back({kLlamaFamily.gguf_rule(c, name).name, type, t.shape, t.bytes});
  }
  ASSERT_TRUE(write_gguf(path, fields, out));
}

void expect_equal(const Checkpoint& checkpoint, const Tensors& tensors) {
  EXPECT_EQ(checkpoint.tensor_names().size(), tensors.size());
  for (const auto& [name, t] : tensors) {
    const TensorView view = checkpoint.tensor(name).value();
    EXPECT_EQ(view.dtype, t.dtype) << name;
    EXPECT_EQ(view.shape, t.shape) << name;
    EXPECT_TRUE(std::ranges::equal(view.bytes, t.bytes)) << name;
  }
}

TEST(Checkpoint, FolderGivesTensorsByName) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const testing::ScratchDir dir;
    write_folder(dir.path(), small_config(), small_tensors(dtype));
    const Checkpoint checkpoint = Checkpoint::open(dir.path()).value();
    expect_equal(checkpoint, small_tensors(dtype));
    EXPECT_EQ(checkpoint.dtype_name(), dtype_info(dtype).name);
    EXPECT_FALSE(checkpoint.has_chat_template());
    EXPECT_THAT(checkpoint.stop_ids(), ::testing::Contains(2));
  }
}

TEST(Checkpoint, GgufGivesTheSameTensorsInHuggingFaceOrder) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0}) {
    const testing::ScratchDir dir;
    write_gguf_file(dir / "model.gguf", small_config(), small_tensors(dtype));
    for (const Path& path : {dir / "model.gguf", dir.path()}) {  // the file, or the folder that holds it
      const Checkpoint checkpoint = Checkpoint::open(path).value();
      expect_equal(checkpoint, small_tensors(dtype));
      EXPECT_EQ(checkpoint.dtype_name(), dtype_info(dtype).name);
      EXPECT_EQ(checkpoint.chat_template(), "{{ messages }}");
      EXPECT_FALSE(checkpoint.config().tie_word_embeddings);
      EXPECT_EQ(checkpoint.config().head_dim, kHeadDim);
    }
  }
}

TEST(Checkpoint, GivesItsTokenizerAgainAfterItsTextWasForgotten) {
  const testing::ScratchDir dir;
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  for (char c = 'a'; std::ssize(tokens) < kVocab; ++c) tokens.emplace_back(1, c);
  std::vector<int64_t> types(tokens.size(), 1);
  types[0] = 2;  // unknown; control
  types[1] = types[2] = 3;
  using Type = GgufField::Type;
  write_gguf_file(dir / "model.gguf", small_config(), small_tensors(), "llama",
                  {{"tokenizer.ggml.model", Type::kString, std::string("llama")},
                   {"tokenizer.ggml.tokens", Type::kString, tokens, true},
                   {"tokenizer.ggml.token_type", Type::kI32, types, true},
                   {"tokenizer.ggml.scores", Type::kF32, std::vector<double>(tokens.size()), true}});
  Checkpoint checkpoint = Checkpoint::open(dir.path()).value();  // the folder that holds it
  const std::vector<int32_t> ids = checkpoint.tokenizer().value()->encode("abc");
  EXPECT_THAT(ids, ::testing::SizeIs(::testing::Ge(3)));
  checkpoint.forget_text();
  EXPECT_EQ(checkpoint.tokenizer().value()->encode("abc"), ids);
  EXPECT_EQ(checkpoint.chat_template(), "{{ messages }}");
  EXPECT_THAT(checkpoint.stop_ids(), ::testing::Contains(2));
  expect_equal(checkpoint, small_tensors());
}

TEST(Checkpoint, TiedHeadMayBeAbsentOrEqualButNotDifferent) {
  ModelConfig config = small_config();
  config.tie_word_embeddings = true;
  Tensors tensors = small_tensors();
  const testing::ScratchDir different;
  write_folder(different.path(), config, tensors);
  EXPECT_THAT(Checkpoint::open(different.path()).error().message, HasSubstr("lm_head.weight"));
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
  const testing::ScratchDir equal;
  write_folder(equal.path(), config, tensors);
  EXPECT_EQ(Checkpoint::open(equal.path()).value().tensor_names().size(), 11U);
  tensors.erase("lm_head.weight");
  const testing::ScratchDir absent;
  write_folder(absent.path(), config, tensors);
  EXPECT_TRUE(Checkpoint::open(absent.path()));
}

std::string refusal(const ModelConfig& config, const Tensors& tensors) {
  const testing::ScratchDir dir;
  write_folder(dir.path(), config, tensors);
  const Result<Checkpoint> opened = Checkpoint::open(dir.path());
  EXPECT_FALSE(opened);
  return opened ? std::string() : opened.error().message;
}

TEST(Checkpoint, MissingExtraAndMisshapenTensorsAreNamed) {
  Tensors missing = small_tensors();
  missing.erase("model.layers.0.mlp.up_proj.weight");
  EXPECT_THAT(refusal(small_config(), missing), HasSubstr("model.layers.0.mlp.up_proj.weight"));
  Tensors extra = small_tensors();
  Random random(1);
  extra["model.layers.0.self_attn.q_proj.bias"] = random_tensor(random, {kHidden});
  EXPECT_THAT(refusal(small_config(), extra), HasSubstr("q_proj.bias"));
  Tensors misshapen = small_tensors();
  misshapen["model.norm.weight"] = random_tensor(random, {kHidden + 1});
  EXPECT_THAT(refusal(small_config(), misshapen), HasSubstr("expected shape 64, got 65"));
  Tensors flat = small_tensors();
  flat["model.embed_tokens.weight"].shape = {kVocab * kHidden};
  EXPECT_THAT(refusal(small_config(), flat), HasSubstr("32 x 64"));
}

// Two shards, and an index that `change` may spoil.
std::string refusal_of_shards(const std::function<void(const Path&, JsonObject&)>& change) {
  const testing::ScratchDir dir;
  write_folder(dir.path(), small_config(), {});
  EXPECT_TRUE(volant::remove_all(dir / "model.safetensors"));
  const Tensors tensors = small_tensors(DType::kBF16);
  const char* shards[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  JsonObject map;
  for (const bool second : {false, true}) {
    std::map<std::string, SafetensorsEntry> entries;
    for (const auto& [name, t] : tensors) {
      if (second != (name >= "model.layers.0.mlp")) continue;
      entries[name] = {safetensors_word(t.dtype), t.shape, t.bytes};
      map[name] = shards[second];
    }
    EXPECT_TRUE(write_safetensors(dir / shards[second], entries, {{"format", "pt"}}));
  }
  change(dir.path(), map);
  const Json index = JsonObject{{"metadata", JsonObject{{"total_size", 1}}}, {"weight_map", map}};
  EXPECT_TRUE(write_file_atomic(dir / "model.safetensors.index.json", dump_json(index)));
  const Result<Checkpoint> opened = Checkpoint::open(dir.path());
  if (!opened) return opened.error().to_string();
  expect_equal(*opened, tensors);
  return "";
}

TEST(Checkpoint, ShardsAreReadTogetherAndWhatTheIndexPromisesInVainIsNamed) {
  EXPECT_EQ(refusal_of_shards([](const Path&, JsonObject&) {}), "");
  EXPECT_THAT(refusal_of_shards([](const Path& dir, JsonObject&) {
                ASSERT_TRUE(volant::remove_all(dir / "model-00002-of-00002.safetensors"));
              }),
              HasSubstr("model-00002-of-00002.safetensors"));
  EXPECT_THAT(refusal_of_shards([](const Path&, JsonObject& map) {
                map["model.layers.1.mlp.up_proj.weight"] = "model-00001-of-00002.safetensors";
              }),
              ::testing::AllOf(HasSubstr("model.layers.1.mlp.up_proj.weight"),
                               HasSubstr("model-00001-of-00002.safetensors")));
  EXPECT_THAT(refusal_of_shards([](const Path&, JsonObject& map) {
                map["model.norm.weight"] = "../model-00002-of-00002.safetensors";
              }),
              ::testing::AllOf(HasSubstr("index.json"), HasSubstr("../model-00002")));
}

TEST(Checkpoint, RotaryFrequenciesOfOldFilesAreIgnored) {
  Tensors tensors = small_tensors();
  Random random(1);
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = random_tensor(random, {kHeadDim / 2});
  const testing::ScratchDir dir;
  write_folder(dir.path(), small_config(), tensors);
  expect_equal(Checkpoint::open(dir.path()).value(), small_tensors());
}

TEST(Checkpoint, BrokenPlacesAreErrorsThatNameThem) {
  const testing::ScratchDir dir;
  const auto refuse = [&](const Path& path) {
    const Result<Checkpoint> opened = Checkpoint::open(path);
    EXPECT_FALSE(opened);
    return opened ? std::string() : opened.error().to_string();
  };
  EXPECT_THAT(refuse(dir / "nowhere"), HasSubstr("nowhere"));
  EXPECT_THAT(refuse(dir.path()), HasSubstr("config.json"));
  ASSERT_TRUE(write_file_atomic(dir / "config.json", "{"));
  EXPECT_THAT(refuse(dir.path()), HasSubstr("config.json"));
  ASSERT_TRUE(write_file_atomic(dir / "config.json", dump_json(small_config().to_json())));
  EXPECT_THAT(refuse(dir.path()), HasSubstr("safetensors"));
  ASSERT_TRUE(write_file_atomic(dir / "model.safetensors", std::string(100, '\xff')));
  EXPECT_FALSE(refuse(dir.path()).empty());
  ASSERT_TRUE(write_file_atomic(dir / "x.gguf", "GGUF but no more"));
  EXPECT_FALSE(refuse(dir / "x.gguf").empty());
  write_gguf_file(dir / "y.gguf", small_config(), small_tensors(), "mamba");
  EXPECT_THAT(refuse(dir / "y.gguf"), HasSubstr("mamba"));
}

TEST(Checkpoint, TwoGgufFilesInAFolderAreAmbiguous) {
  const testing::ScratchDir dir;
  write_gguf_file(dir / "a.gguf", small_config(), small_tensors());
  write_gguf_file(dir / "b.gguf", small_config(), small_tensors());
  EXPECT_THAT(Checkpoint::open(dir.path()).error().message, HasSubstr("found 2"));
}

TEST(GgufTensorName, HasAllNamesOfALayerAndNoOthers) {
  EXPECT_EQ(kLlamaFamily.gguf_rule({}, "model.layers.11.mlp.down_proj.weight").name,
            "blk.11.ffn_down.weight");
  EXPECT_EQ(kLlamaFamily.gguf_rule({}, "lm_head.weight").name, "output.weight");
  EXPECT_EQ(kLlamaFamily.gguf_rule({}, "model.layers.0.other.weight").name, "");
  EXPECT_EQ(kLlamaFamily.gguf_rule({}, "other").name, "");
}

}  // namespace
}  // namespace volant
