// Answers of the OpenAI API as JSON: whole, and as the chunks of a stream.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/engine.h"

namespace volant {

// What every object of one answer carries.
struct AnswerHead {
  std::string id, model, fingerprint;
  int64_t created = 0;
  bool chat = true;
};

// One answer of the n.
struct Choice {
  int index = 0;
  std::string text;
  std::vector<GenerateEvent> tokens;  // only with logprobs
  std::string finish_reason;          // "stop", "length"; empty while it runs
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
};

JsonObject to_json(const Usage& usage);
JsonObject whole_answer(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage,
                        const Tokenizer& tokenizer, bool logprobs);

// Chunks of a stream, each as "data: {...}\n\n". `with_usage` adds "usage": null, as include_usage asks.
class ChunkWriter {
 public:
  ChunkWriter(AnswerHead head, const Tokenizer& tokenizer, bool logprobs, bool with_usage);
  // Chat: who speaks. Plain completions have no such chunk (empty).
  std::string role(int index) const;
  // `offset`: bytes of the choice before this event.
  std::string text(int index, const GenerateEvent& event, size_t offset) const;
  std::string finish(int index, const std::string& reason) const;
  std::string usage(const Usage& usage) const;
  static std::string error(const JsonObject& error);
  static std::string done() { return "data: [DONE]\n\n"; }

 private:
  std::string chunk(const JsonArray& choices, const Json& usage) const;
  const AnswerHead head_;
  const Tokenizer& tokenizer_;
  const bool logprobs_, with_usage_;
  std::string prefix_;
};

}  // namespace volant
