#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "base/json.h"
#include "base/random.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;

// Without the sync of write_file_atomic: for tests that write thousands of files.
void put(const Path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::span<const std::byte> bytes_of(const std::vector<float>& numbers) {
  return std::as_bytes(std::span(numbers));
}
std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  const uint64_t n = header.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + header + data;
}

Result<SafetensorsFile> open_safetensors(const std::string& header, const std::string& data) {
  const ScratchDir scratch;
  write_file_atomic(scratch / "x.safetensors", safetensors_bytes(header, data)).value();
  return SafetensorsFile::open(scratch / "x.safetensors");
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const ScratchDir scratch;
  const std::vector<float> a{1, 2, 3, 4, 5, 6}, b{7};
  ASSERT_TRUE(write_safetensors(
      scratch / "m.safetensors",
      {{"b", {"F32", {}, bytes_of(b)}}, {"a", {"F32", {2, 3}, bytes_of(a)}}, {"none", {"F16", {0, 4}, {}}}},
      {{"format", "pt"}}));
  const SafetensorsFile file = SafetensorsFile::open(scratch / "m.safetensors").value();
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(file.tensors().at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(as_text(file.tensors().at("a").bytes), as_text(bytes_of(a)));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors().at("a").bytes.data()) % 64, 0U);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(SafetensorsFile::open(scratch.path()).error().code, ErrorCode::kNotFound);
}

TEST(Safetensors, WriterRefusesASizeThatDoesNotFit) {
  const ScratchDir scratch;
  const std::vector<float> a{1, 2, 3};
  EXPECT_EQ(write_safetensors(scratch / "m", {{"a", {"F32", {2}, bytes_of(a)}}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(scratch / "m"));
}

TEST(Safetensors, HostileHeadersAreRefused) {
  const std::string big = "18446744073709551615", data(16, 'd');
  const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::string rest = R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})";
  ASSERT_TRUE(open_safetensors("{" + good + "," + rest + "}", data));
  const std::pair<const char*, std::string> cases[] = {
      {"not an object", "[]"},
      {"not JSON", "{" + good},
      {"offset beyond the end", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})"},
      {"begin after end", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"},
      {"negative offset", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})"},
      {"huge offset", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[)" + big + "," + big + "]}}"},
      {"size does not fit", R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}})"},
      {"shape overflows to a fitting size",
       R"({"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,16]}})"},
      {"negative dimension", R"({"a":{"dtype":"F32","shape":[-2,-2],"data_offsets":[0,16]}})"},
      {"too many dimensions",
       R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4],"data_offsets":[0,16]}})"},
      {"unknown dtype", R"({"a":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}})"},
      {"overlap", "{" + good + R"(,"b":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}})"},
      {"hole", "{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})"},
      {"rest without tensor", "{" + good + "}"},
      {"name twice",
       "{" + good + "," + rest + R"(,"\u0062":{"dtype":"I32","shape":[2],"data_offsets":[8,16]}})"},
      {"field twice",
       "{" + good + R"(,"b":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[8,16]}})"},
      {"metadata no strings", "{" + good + "," + rest + R"(,"__metadata__":{"x":1}})"},
      {"deep nesting", "{" + good + "," + rest + ",\"c\":" + std::string(5000, '[') + "}"},
      {"one offset", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0]}})"},
      {"text as shape", R"({"a":{"dtype":"F32","shape":["4"],"data_offsets":[0,16]}})"},
  };
  for (const auto& [name, header] : cases) EXPECT_FALSE(open_safetensors(header, data)) << name;
}

TEST(Safetensors, HeaderLengthIsChecked) {
  const ScratchDir scratch;
  for (const uint64_t n : {uint64_t{9}, uint64_t{200'000'000}, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    write_file_atomic(scratch / "x", std::string(reinterpret_cast<const char*>(&n), 8) + "{}").value();
    EXPECT_EQ(SafetensorsFile::open(scratch / "x").error().code, ErrorCode::kParse) << n;
  }
  write_file_atomic(scratch / "x", "1234567").value();
  EXPECT_EQ(SafetensorsFile::open(scratch / "x").error().code, ErrorCode::kParse);
  write_file_atomic(scratch / "x", "").value();
  EXPECT_EQ(SafetensorsFile::open(scratch / "x").error().code, ErrorCode::kParse);
}

TEST(Safetensors, ShardsOfAnIndex) {
  const ScratchDir scratch;
  const std::vector<float> a{1}, b{2};
  ASSERT_TRUE(write_safetensors(scratch / "m-1.safetensors", {{"a", {"F32", {1}, bytes_of(a)}}}));
  ASSERT_TRUE(write_safetensors(scratch / "m-2.safetensors", {{"b", {"F32", {1}, bytes_of(b)}}}));
  const auto open_with = [&](const std::string& map) {
    write_file_atomic(scratch / "model.safetensors.index.json", R"({"weight_map":)" + map + "}").value();
    return SafetensorsFile::open(scratch.path());
  };
  EXPECT_EQ(open_with(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})").value().tensors().size(), 2U);
  EXPECT_EQ(open_with(R"({"a":"m-1.safetensors","b":"m-3.safetensors"})").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(open_with(R"({"c":"m-1.safetensors"})").error().message, HasSubstr("tensor 'c'"));
  EXPECT_EQ(open_with(R"({"a":"../m-1.safetensors"})").error().code, ErrorCode::kParse);
  EXPECT_EQ(open_with("3").error().code, ErrorCode::kParse);
  ASSERT_TRUE(write_safetensors(scratch / "m-2.safetensors", {{"a", {"F32", {1}, bytes_of(b)}}}));
  EXPECT_THAT(open_with(R"({"a":"m-1.safetensors","x":"m-2.safetensors"})").error().to_string(),
              HasSubstr("two files"));
}

TEST(Safetensors, RealModelsOpen) {
  VOLANT_DATA_OR_SKIP(models, "models");
  for (const char* name : {"stories260K", "stories15M", "minimind2-small", "all-MiniLM-L6-v2", "tiny-gpt2",
                           "tiny-bert", "tiny-qwen3"}) {
    const Result<SafetensorsFile> file = SafetensorsFile::open(models / name);
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_FALSE(file->tensors().empty());
  }
}

// Any change of a byte gives an error or a file whose tensors lie inside it.
TEST(Safetensors, RandomDamageNeverCrashes) {
  const ScratchDir scratch;
  Random random(5);
  const std::string good = safetensors_bytes(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]}})",
      std::string(16, 'd'));
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good.substr(0, random.below(4) == 0 ? random.below(good.size()) : good.size());
    for (uint64_t n = random.below(3); n > 0 && !bytes.empty(); --n)
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    put(scratch / "x", bytes);
    const Result<SafetensorsFile> file = SafetensorsFile::open(scratch / "x");
    if (!file) continue;
    uint64_t total = 0;
    for (const auto& [name, tensor] : file->tensors()) total += tensor.bytes.size();
    ASSERT_LE(total, bytes.size());
  }
}

using Type = GgufField::Type;

std::vector<GgufField> sample_fields() {
  return {{"general.architecture", Type::kString, std::string("llama")},
          {"u8", Type::kU8, uint64_t{255}},
          {"i8", Type::kI8, int64_t{-128}},
          {"u16", Type::kU16, uint64_t{65535}},
          {"i16", Type::kI16, int64_t{-5}},
          {"u32", Type::kU32, uint64_t{4'000'000'000}},
          {"i32", Type::kI32, int64_t{-7}},
          {"u64", Type::kU64, std::numeric_limits<uint64_t>::max()},
          {"i64", Type::kI64, std::numeric_limits<int64_t>::min()},
          {"f32", Type::kF32, 0.5},
          {"f64", Type::kF64, 0.1},
          {"yes", Type::kBool, true},
          {"words", Type::kString, std::vector<std::string>{"a", "", "字"}, true},
          {"scores", Type::kF32, std::vector<double>{1, -2}, true},
          {"kinds", Type::kI32, std::vector<int64_t>{3, -1}, true},
          {"flags", Type::kBool, std::vector<bool>{true, false}, true}};
}

TEST(Gguf, WhatIsWrittenIsRead) {
  const ScratchDir scratch;
  const std::vector<float> a{1, 2, 3, 4, 5, 6};
  const std::string q(size_t{34} * 2 * 3, 'q');
  const std::vector<GgufOutTensor> tensors{
      {"a", GgmlType::kF32, {2, 3}, bytes_of(a)},
      {"q", GgmlType::kQ8_0, {3, 64}, std::as_bytes(std::span(q))},
  };
  ASSERT_TRUE(write_gguf(scratch / "m.gguf", sample_fields(), tensors));
  const GgufFile file = GgufFile::open(scratch / "m.gguf").value();
  ASSERT_EQ(file.metadata().size(), sample_fields().size());
  for (const GgufField& field : sample_fields())
    EXPECT_TRUE(file.metadata().at(field.key) == field.value) << field.key;
  EXPECT_EQ(file.tensors().at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(as_text(file.tensors().at("a").bytes), as_text(bytes_of(a)));
  EXPECT_EQ(file.tensors().at("q").type, GgmlType::kQ8_0);
  EXPECT_EQ(as_text(file.tensors().at("q").bytes), q);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors().at("q").bytes.data()) % 32, 0U);
}

TEST(Gguf, ForgottenMetadataIsGoneAndTheRestStays) {
  const ScratchDir scratch;
  const std::vector<float> a{1, 2, 3, 4};
  const GgufField::Type type = GgufField::Type::kU32;
  ASSERT_TRUE(
      write_gguf(scratch / "m.gguf",
                 {{"text.a", type, uint64_t{1}}, {"text.b", type, uint64_t{2}}, {"texts", type, uint64_t{3}}},
                 {{"a", GgmlType::kF32, {4}, bytes_of(a)}}));
  GgufFile file = GgufFile::open(scratch / "m.gguf").value();
  file.forget("text.");
  EXPECT_FALSE(file.contains("text.a"));
  EXPECT_FALSE(file.contains("text.b"));
  EXPECT_EQ(file.get_int("texts").value(), 3);
  EXPECT_EQ(as_text(file.tensors().at("a").bytes), as_text(bytes_of(a)));
}

TEST(Gguf, TypedReadersNameTheKey) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_gguf(scratch / "m.gguf", sample_fields(), {}));
  const GgufFile file = GgufFile::open(scratch / "m.gguf").value();
  EXPECT_EQ(file.get_int("u32").value(), 4'000'000'000);
  EXPECT_EQ(file.get_int("i8").value(), -128);
  EXPECT_EQ(file.get_number("f32").value(), 0.5);
  EXPECT_EQ(file.get_number("i32").value(), -7);
  EXPECT_EQ(file.get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file.get_int("u64").error().code, ErrorCode::kParse);  // over 63 bits
  EXPECT_THAT(file.get_int("words").error().message,
              HasSubstr("'words' (an integer), and it is of another type"));
  EXPECT_THAT(file.get_string("none").error().message, HasSubstr("'none' (a string), and it is missing"));
}

TEST(Gguf, WriterRefusesWhatDoesNotFit) {
  const ScratchDir scratch;
  const std::vector<float> a{1};
  const auto refused = [&](const std::vector<GgufField>& fields, const std::vector<GgufOutTensor>& tensors) {
    return write_gguf(scratch / "m", fields, tensors).error().code == ErrorCode::kInvalidArgument &&
           !std::filesystem::exists(scratch / "m");
  };
  EXPECT_TRUE(refused({{"k", Type::kU8, uint64_t{256}}}, {}));
  EXPECT_TRUE(refused({{"k", Type::kU32, int64_t{-1}}}, {}));
  EXPECT_TRUE(refused({{"k", Type::kString, int64_t{1}}}, {}));
  EXPECT_TRUE(refused({{"k", Type::kI32, std::vector<int64_t>{1}}}, {}));
  EXPECT_TRUE(refused({{"k", Type::kBool, true}, {"k", Type::kBool, true}}, {}));
  EXPECT_TRUE(refused({}, {{"a", GgmlType::kF32, {2}, bytes_of(a)}}));
  EXPECT_TRUE(refused({}, {{"a", GgmlType::kQ8_0, {1}, bytes_of(a)}}));
  EXPECT_TRUE(
      refused({}, {{"a", GgmlType::kF32, {1}, bytes_of(a)}, {"a", GgmlType::kF32, {1}, bytes_of(a)}}));
}

template <class T>
std::string le(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string gguf_text(std::string_view text) { return le(uint64_t{text.size()}) + std::string(text); }

Result<GgufFile> open_gguf(const std::string& bytes) {
  const ScratchDir scratch;
  put(scratch / "x.gguf", bytes);
  return GgufFile::open(scratch / "x.gguf");
}
std::string gguf_head(uint64_t n_tensors, uint64_t n_fields, uint32_t version = 3) {
  return "GGUF" + le(version) + le(n_tensors) + le(n_fields);
}
std::string gguf_tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                        uint64_t offset) {
  std::string out = gguf_text(name) + le(static_cast<uint32_t>(dims.size()));
  for (const uint64_t d : dims) out += le(d);
  return out + le(type) + le(offset);
}
// Head and tensor table, aligned, then 64 bytes of data.
std::string gguf_with(uint64_t n, const std::string& table) {
  std::string out = gguf_head(n, 0) + table;
  out.resize((out.size() + 31) / 32 * 32);
  return out + std::string(64, 'd');
}

TEST(Gguf, Version2IsReadAndOthersAreNot) {
  EXPECT_TRUE(open_gguf(gguf_head(0, 0, 2)));
  EXPECT_EQ(open_gguf(gguf_head(0, 0, 1)).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(open_gguf("GGML" + le(uint32_t{3}) + std::string(16, '\0')).error().code, ErrorCode::kParse);
}

TEST(Gguf, HostileFilesAreRefused) {
  ASSERT_TRUE(open_gguf(gguf_with(1, gguf_tensor("a", {4, 4}, 0, 0))));
  const uint64_t huge = ~uint64_t{0};
  const std::pair<const char*, std::string> cases[] = {
      {"empty", ""},
      {"cut off", "GGUF"},
      {"huge field count", gguf_head(0, huge)},
      {"huge tensor count", gguf_head(huge, 0)},
      {"huge key", gguf_head(0, 1) + le(huge)},
      {"huge string", gguf_head(0, 1) + gguf_text("k") + le(uint32_t{8}) + le(huge)},
      {"huge array", gguf_head(0, 1) + gguf_text("k") + le(uint32_t{9}) + le(uint32_t{4}) + le(huge)},
      {"huge array of bytes",
       gguf_head(0, 1) + gguf_text("k") + le(uint32_t{9}) + le(uint32_t{0}) + le(uint64_t{1} << 40)},
      {"array of arrays", gguf_head(0, 1) + gguf_text("k") + le(uint32_t{9}) + le(uint32_t{9}) +
                              le(uint64_t{1}) + le(uint32_t{9}) + le(uint64_t{0})},
      {"unknown type", gguf_head(0, 1) + gguf_text("k") + le(uint32_t{13}) + le(uint64_t{1})},
      {"boolean of 2", gguf_head(0, 1) + gguf_text("k") + le(uint32_t{7}) + "\2"},
      {"key twice",
       gguf_head(0, 2) + gguf_text("k") + le(uint32_t{0}) + "\1" + gguf_text("k") + le(uint32_t{0}) + "\2"},
      {"alignment 0", gguf_head(0, 1) + gguf_text("general.alignment") + le(uint32_t{4}) + le(uint32_t{0})},
      {"alignment 48", gguf_head(0, 1) + gguf_text("general.alignment") + le(uint32_t{4}) + le(uint32_t{48})},
      {"tensor beyond the end", gguf_with(1, gguf_tensor("a", {4, 5}, 0, 0))},
      {"offset beyond the end", gguf_with(1, gguf_tensor("a", {1}, 0, 96))},
      {"huge offset", gguf_with(1, gguf_tensor("a", {1}, 0, huge - 31))},
      {"offset not aligned", gguf_with(1, gguf_tensor("a", {1}, 0, 4))},
      {"overflowing shape", gguf_with(1, gguf_tensor("a", {uint64_t{1} << 62, 4}, 0, 0))},
      {"huge dimension", gguf_with(1, gguf_tensor("a", {huge}, 0, 0))},
      {"too many dimensions", gguf_with(1, gguf_tensor("a", {1, 1, 1, 1, 1}, 0, 0))},
      {"row no multiple of the block", gguf_with(1, gguf_tensor("a", {33}, 8, 0))},
      {"unknown tensor type", gguf_with(1, gguf_tensor("a", {1}, 99, 0))},
      {"overlap", gguf_with(2, gguf_tensor("a", {16}, 0, 0) + gguf_tensor("b", {4}, 0, 32))},
      {"tensor twice", gguf_with(2, gguf_tensor("a", {4}, 0, 0) + gguf_tensor("a", {4}, 0, 32))},
  };
  for (const auto& [name, bytes] : cases) EXPECT_FALSE(open_gguf(bytes)) << name;
}

TEST(Gguf, RandomDamageNeverCrashes) {
  const ScratchDir scratch;
  Random random(6);
  const std::vector<float> a{1, 2, 3, 4};
  ASSERT_TRUE(write_gguf(scratch / "good", sample_fields(), {{"a", GgmlType::kF32, {2, 2}, bytes_of(a)}}));
  const std::string good = read_file(scratch / "good").value();
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good.substr(0, random.below(4) == 0 ? random.below(good.size()) : good.size());
    for (uint64_t n = random.below(3); n > 0 && !bytes.empty(); --n)
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    put(scratch / "x", bytes);
    const Result<GgufFile> file = GgufFile::open(scratch / "x");
    if (!file) continue;
    for (const auto& [name, tensor] : file->tensors()) ASSERT_LE(tensor.bytes.size(), bytes.size());
  }
}

}  // namespace
}  // namespace volant
