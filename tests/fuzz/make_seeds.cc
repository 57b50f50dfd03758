// Writes a small corpus for each fuzz target: `make_seeds FOLDER [DATA]`. DATA adds real vocabularies.
#include <cstdio>
#include <iterator>

#include "base/json.h"
#include "io/gguf.h"
#include "io/image.h"
#include "io/jsonl.h"
#include "io/safetensors.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

using namespace volant;
using namespace std::literals;

namespace {

using Type = GgufField::Type;

constexpr uint64_t kMaxSeedBytes = 64 << 10;

Path root;

void put(const std::string& target, const std::string& name, std::string_view bytes) {
  write_file_atomic(root / target / name, bytes).value();
}

void put_all(const std::string& target, std::initializer_list<std::string_view> inputs) {
  int n = 0;
  for (const std::string_view input : inputs) put(target, std::to_string(n++), input);
}

void weights() {
  const std::vector<float> numbers{1, 2, 3, 4};
  const auto bytes = std::as_bytes(std::span(numbers));
  write_safetensors(root / "safetensors/two", {{"a", {"F32", {2, 2}, bytes}}, {"b.c", {"F16", {8}, bytes}}},
                    {{"format", "pt"}})
      .value();
  const std::vector<GgufField> fields{{"general.architecture", Type::kString, std::string("llama")},
                                      {"general.alignment", Type::kU32, uint64_t{32}},
                                      {"i", Type::kI64, int64_t{-1}},
                                      {"f", Type::kF32, 0.5},
                                      {"b", Type::kBool, true},
                                      {"words", Type::kString, std::vector<std::string>{"a", "b"}, true},
                                      {"ids", Type::kI32, std::vector<int64_t>{1, 2}, true}};
  write_gguf(root / "gguf/small", fields,
             {{"a", GgmlType::kF32, {2, 2}, bytes}, {"b", GgmlType::kF16, {8}, bytes}})
      .value();
}

void rows() {
  put_all("json", {R"({"a":[1,-2.5e3,true,null,"\u5b57\ud83c\udf89"],"b":{}})", "[[[]]]", "\"x\"", "1e999"});
  put_all("jsonl", {"{\"text\":\"a\"}\n\n{\"text\":1}\r\n[1]\nbad\n", "\xEF\xBB\xBF{}\n{\"messages\":[]}"});
  put_all("csv", {"\0name,text\n1,\"a \"\"b\"\"\nc\"\n2,x\n"sv, "\1a;b\r\n1;2\r\n", "\x0Bx\ty\n\"1\t2\n"});
  for (const char* ending : {"gz", "zst"}) {
    const Path path = root / (std::string("rows.jsonl.") + ending);
    JsonlWriter writer = JsonlWriter::create(path).value();
    for (int i = 0; i < 20; ++i) writer.write(JsonObject{{"n", i}}).value();
    writer.finish().value();
    put("compressed_lines", ending,
        (ending[0] == 'g' ? std::string(1, '\0') : std::string(1, '\1')) + read_file(path).value());
    volant::remove_all(path).value();
  }
}

void tasks() {
  put_all("task_row", {R"({"id":"1","input":{"text":"a"},"label":"x","weight":2,"group":"g","time":"2020"})",
                       R"({"input":{"age":3},"target":-1.5e3})"});
  put_all("idx", {"\0\0\x08\2\0\0\0\2\0\0\0\3abcdef"sv, "\0\0\x08\1\0\0\0\1x"sv});
  const Image grey{.width = 3, .height = 2, .channels = 1, .pixels = {0, 50, 100, 150, 200, 250}};
  const Image colour{.width = 2, .height = 1, .channels = 3, .pixels = {0, 50, 100, 150, 200, 250}};
  for (const Image* image : {&grey, &colour}) {
    put("image", "png" + std::to_string(image->channels), encode_png(*image).value());
    put("image", "jpeg" + std::to_string(image->channels), encode_jpeg(*image).value());
  }
  put_all(
      "encoder_json",
      {R"({"task":"table","version":1,"fields":[{"name":"a","type":"number","gaps":true,"mean":1,"deviation":2,)"
       R"("median":1,"minimum":0,"maximum":3},{"name":"b","type":"category","gaps":false,"values":["x","y"]}]})"
       "\n{\"a\":3,\"b\":\"x\"}",
       R"({"task":"text","version":1,"max_length":8,"segment":"icu"})"
       "\n{\"text\":\"ab 味道很好\",\"text_pair\":\"a\"}",
       R"({"task":"image","version":1,"width":2,"height":2,"channels":1,"mean":[0.1],"deviation":[0.3],)"
       R"("background":"dark"})"
       "\n{\"image\":\"data:image/png;base64,iVBORw0KGgo=\"}"});
}

// A row and its vector [1, 2] of halves: 1 and 0.
void neighbours() {
  const std::string header = R"({"vectors":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  put("neighbours", "one",
      "{\"id\":\"1\",\"input\":{\"a\":1},\"label\":\"x\"}\n\n" + file + header + "\0\x3C\0\0"s);
}

void texts() {
  put_all("charset", {"\0plain text"sv, "\1caf\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD", "\2a\0b\0"sv,
                      "\4\xC4\xE3\xBA\xC3", "\5\xA7\x41\xA6\x6E", "\6caf\xE9"});
  put_all("markup", {"\0<html><head><title>t</title></head><body><p>One &amp; "
                     "two<table><tr><td>x</table><script>1</script>"sv,
                     "\1# Title\n\nText with *emphasis*, `code` and [a link](http://x.y).\n\n```c\nint "
                     "x;\n```\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"});
  put_all("personal_data",
          {"Write to anna.b@example.com or call +86 138 0013 8000; card 4111 1111 1111 1111.",
           "身份证 11010519491231002X，服务器 192.168.0.1，IBAN DE89 3704 0044 0532 0130 00",
           "2001:db8::1 123-45-6789"});
  put("chat_template", "default", default_chat_template());
  put_all("chat_template",
          {"{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' "
           "%}[INST] {{ message.content | trim }} [/INST]"
           "{% elif loop.last and not message.content %}x{% else %}{{ message['content'] + "
           "eos_token }}{% endif %}{% endfor %}",
           "{%- set ns = namespace(n=0) -%}{%- for m in messages[1:] -%}{%- set ns.n = ns.n "
           "+ 1 -%}{{ m | tojson }}{%- endfor -%}",
           "{% macro f(x, y=2) %}{{ x ~ y }}{% endmacro %}{{ f(1) }}{{ messages | length "
           "}}{{ 'a' if true else \"b\" }}",
           "{% if tools is defined and tools is not none %}{{ raise_exception('no') }}{% "
           "endif %}{{ 'x'.split(',')[0].strip() }}",
           "{% for m in messages | groupby('role') recursive %}{% generation %}{{ m.list | "
           "map(attribute='content') | join | truncate(9) }}{% endgeneration %}{% endfor %}"});
}

void configs() {
  put_all(
      "model_config",
      {R"({"architectures":["LlamaForCausalLM"],"vocab_size":512,"hidden_size":64,"intermediate_size":172,"num_hidden_layers":2,)"
       R"("num_attention_heads":8,"num_key_value_heads":4,"rope_theta":10000.0,"tie_word_embeddings":true,"eos_token_id":[1,2],)"
       R"("rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}})",
       R"({"model_type":"network","problem_type":"regression","input_shape":[3,9,8],"target_mean":3.5,"layers":[)"
       R"({"type":"conv","channels":4,"kernel":3,"stride":2,"padding":1},{"type":"batch_norm"},{"type":"relu"},)"
       R"({"type":"residual","layers":[{"type":"conv","channels":6,"kernel":1}]},{"type":"max_pool","size":2,"stride":1},)"
       R"({"type":"average_pool"},{"type":"dense","units":5},{"type":"dropout","p":0.5}]})",
       R"({"model_type":"network","problem_type":"binary_classification","vocab_size":50,"layers":[)"
       R"({"type":"embedding","units":8},{"type":"lstm","units":6,"bidirectional":true},{"type":"gru","units":5},)"
       R"({"type":"layer_norm"},{"type":"mean_rows"}],"id2label":{"0":"no","1":"yes"}})"});
  put_all("workspace_config",
          {"[workspace]\nname = \"w\"\n[[collect.source]]\nname = \"s\"\nkind = \"text\"\npaths = "
           "[\"a/*.txt\"]\nseparator = \"%\"\n"
           "[prepare]\nlanguages = [\"en\", \"zh\"]\nmin_chars = 20\n[tokenizer]\nalgorithm = "
           "\"bpe\"\nvocab_size = 8192\n[model]\nhidden_size = 256\n"
           "[train]\nsteps = 400\nlr = 1e-3\nmax_minutes = 4\n[compress]\nformats = "
           "[\"q8_0\"]\n[serve]\nport = 8080\n",
           "[workspace]\nnaem = \"typo\"\n", "x = [1, {y = 2}]\n"});
  put_all(
      "openai_request",
      {R"({"model":"m","messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"text","text":"x"}]}],"max_tokens":5,)"
       R"("temperature":0.5,"top_p":0.9,"stop":["a","b"],"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":2,"n":2,"seed":1,"logit_bias":{"5":-100}})",
       R"({"model":"m","prompt":["a",[1,2]],"echo":true,"logprobs":3,"max_tokens":0,"stop":"x"})"});
}

// Vocabularies: two by hand, and what the data folder has, where they are small.
void vocabularies(const Path& data) {
  put_all(
      "tokenizer_json",
      {R"({"version":"1.0","added_tokens":[{"id":4,"content":"<|end|>","special":true}],"normalizer":null,)"
       R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"decoder":{"type":"ByteLevel"},)"
       R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"<|end|>":4},"merges":["a b"]}})"});
  put_all("vocab_txt",
          {"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nonce\n你\n", "[UNK]\r\n[CLS]\r\n[SEP]\r\n"});
  put_all("tiktoken", {"YQ== 0\nYg== 1\nYWI= 2\nIA== 3\n4L0= 4\n", "/w== 5\n"});
  std::error_code ignored;
  // The shapes of tokenizer.json that the unit tests compare with Hugging Face's.
  if (const auto text = read_file("src/text/golden/pipelines.json")) {
    const Json golden = parse_json(*text).value();
    int n = 0;
    for (const Json& pipeline : golden.at("pipelines").as_array())
      put("tokenizer_json", "pipeline" + std::to_string(n++), dump_json(pipeline.at("tokenizer")));
  }
  for (const char* model :
       {"models/stories260K", "models/tiny-gpt2", "models/tiny-qwen2", "models/tiny-llama-gqa"}) {
    for (const char* file : {"tokenizer.json", "tokenizer.model"}) {
      const Path path = data / model / file;
      if (!std::filesystem::exists(path, ignored) || volant::file_size(path).value() > kMaxSeedBytes)
        continue;
      put(file == std::string("tokenizer.json") ? "tokenizer_json" : "tokenizer_model",
          Path(model).filename(), read_file(path).value());
    }
    const auto tokenizer = load_tokenizer(data / model);
    if (tokenizer)
      write_gguf(root / "gguf_vocabulary" / Path(model).filename(), (*tokenizer)->gguf_fields(), {}).value();
  }
  const std::vector<GgufField> fields{
      {"tokenizer.ggml.model", Type::kString, std::string("llama")},
      {"tokenizer.ggml.tokens", Type::kString,
       std::vector<std::string>{"<unk>", "<s>", "</s>", "▁a", "b", "▁ab", "<0x41>"}, true},
      {"tokenizer.ggml.scores", Type::kF32, std::vector<double>{0, 0, 0, -1, -2, -3, 0}, true},
      {"tokenizer.ggml.token_type", Type::kI32, std::vector<int64_t>{2, 3, 3, 1, 1, 1, 6}, true},
      {"tokenizer.ggml.bos_token_id", Type::kU32, uint64_t{1}},
      {"tokenizer.ggml.eos_token_id", Type::kU32, uint64_t{2}}};
  write_gguf(root / "gguf_vocabulary/by_hand", fields, {}).value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: make_seeds FOLDER [DATA]\n");
    return 2;
  }
  root = argv[1];
  weights();
  rows();
  tasks();
  neighbours();
  texts();
  configs();
  vocabularies(argc > 2 ? argv[2] : "");
  return 0;
}
