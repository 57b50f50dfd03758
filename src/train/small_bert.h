// For tests: a random encoder that gives hidden states, with the vocabulary of another folder.
#pragma once
#include "support/random_model.h"

namespace volant::testing {

inline Path write_small_bert(const Path& folder, const Path& tokenizer) {
  const ModelConfig config =
      ModelConfig::from_json(parse_json(read_file(tokenizer / "config.json").value()).value()).value();
  JsonObject json = config.to_json().as_object();
  json["architectures"] = JsonArray{"BertModel"};
  json["hidden_size"] = 32;
  json["intermediate_size"] = 64;
  json["num_attention_heads"] = 2;
  for (const char* label : {"id2label", "label2id", "num_labels", "problem_type"}) json.erase(label);
  EXPECT_TRUE(make_dirs(folder));
  Random random(17);
  write_random_model(folder, ModelConfig::from_json(json).value(), random);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    EXPECT_TRUE(write_file_atomic(folder / file, read_file(tokenizer / file).value()));
  return folder;
}

}  // namespace volant::testing
