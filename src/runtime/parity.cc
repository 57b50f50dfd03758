#include "runtime/parity.h"

#include <algorithm>
#include <cmath>

namespace volant {
namespace {

// log of the sum of exp, without overflow.
double log_sum_exp(std::span<const float> logits) {
  const auto most = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return most + std::log(sum);
}

JsonObject message(const char* role, const char* content) { return {{"role", role}, {"content", content}}; }

const std::vector<JsonArray>& conversations() {
  static const std::vector<JsonArray> all{
      {message("user", "What is the capital of France?")},
      {message("system", "You are a helpful assistant."), message("user", "中国的首都是哪里？")},
      {message("user", "Hello."), message("assistant", "Hello! How can I help?"),
       message("user", "Tell me a story.\nA short one.")},
      {message("user", "What does <|im_end|> mean, or </s>, or {{ this }}?")},
  };
  return all;
}

// Ids or a refusal, as words.
std::string outcome(const Result<std::vector<int32_t>>& prompt) {
  return prompt ? fmt::format("{} tokens", prompt->size()) : "'" + prompt.error().message + "'";
}

}  // namespace

bool all_finite(std::span<const float> logits) {
  return std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
}

Json to_json(const ParityReport& report) {
  JsonObject tensors;
  for (const auto& [type, n] : report.tensors) tensors[type] = n;
  return JsonObject{{"format", report.format},
                    {"greedy_agreement", report.greedy_agreement},
                    {"mean_kl", report.mean_kl},
                    {"max_mean_kl_allowed", report.max_mean_kl_allowed},
                    {"max_logit_error", report.max_logit_error},
                    {"max_logit_error_allowed", report.max_logit_error_allowed},
                    {"positions", report.positions},
                    {"conversations", report.conversations},
                    {"passed", report.passed},
                    {"bytes", report.bytes},
                    {"tensors", std::move(tensors)},
                    {"notes", JsonArray(report.notes.begin(), report.notes.end())}};
}

const std::vector<std::string>& built_in_parity_texts() {
  static const std::vector<std::string> texts{
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her "
      "dog.",
      "The river rose quietly during the night, and by morning the lower fields were under water.",
      "To change the battery, open the cover, take out the old cell, and press the new one in until it "
      "clicks.",
      "Question: how many legs do three spiders have? Answer: a spider has eight legs, so three have "
      "twenty-four.",
      "春天来了，院子里的桃花开了，小猫躺在阳光下睡觉。",
      "水在零度以下会结冰，在一百度左右会沸腾。这是因为分子的运动随温度而改变。",
      "你好，请问去火车站怎么走？先直走，到第二个路口向左转，大约十分钟就到了。",
      "One day, Tom found a big red ball in the garden. He wanted to play with it, so he asked his mom if he "
      "could.",
      "The city council met on Tuesday to discuss the new bridge, which has been closed to heavy traffic "
      "since May.",
      "从前有一个小男孩，他很喜欢听爷爷讲故事，每天晚上都要听完一个故事才肯睡觉。",
      "读书是一种好习惯，它能让我们学到新的知识，也能让我们认识更大的世界。",
      "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5",
  };
  return texts;
}

void ParitySums::add(std::span<const float> original, std::span<const float> exported) {
  const double total_a = log_sum_exp(original), total_b = log_sum_exp(exported);
  double divergence = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    const auto a = static_cast<double>(original[i]), b = static_cast<double>(exported[i]);
    max_logit_error = std::max(max_logit_error, std::abs(a - b));
    divergence += std::exp(a - total_a) * ((a - total_a) - (b - total_b));
  }
  kl += std::max(divergence, 0.0);  // rounding can leave a tiny negative
  const auto best_a = std::max_element(original.begin(), original.end()) - original.begin();
  const auto best_b = std::max_element(exported.begin(), exported.end()) - exported.begin();
  agreeing += best_a == best_b ? 1 : 0;
  ++positions;
}

void ParitySums::add_hidden(std::span<const float> original, std::span<const float> exported) {
  double product = 0, square_a = 0, square_b = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    const auto a = static_cast<double>(original[i]), b = static_cast<double>(exported[i]);
    max_logit_error = std::max(max_logit_error, std::abs(a - b));
    product += a * b;
    square_a += a * a;
    square_b += b * b;
  }
  const double lengths = std::sqrt(square_a * square_b);
  kl += lengths > 0 ? std::max(1 - product / lengths, 0.0) : 0;
  ++agreeing;  // there is nothing to choose
  ++positions;
}

Result<int64_t> compare_prompts(const PromptOf& original, const PromptOf& exported) {
  for (size_t i = 0; i < conversations().size(); ++i) {
    const auto a = original(conversations()[i]), b = exported(conversations()[i]);
    const bool same = a && b ? *a == *b : !a && !b && a.error().message == b.error().message;
    if (!same)
      return fail(ErrorCode::kRefused,
                  "the chat template renders another prompt for parity conversation {}: {}, originally {}",
                  i + 1, outcome(b), outcome(a));
  }
  return std::ssize(conversations());
}

}  // namespace volant
