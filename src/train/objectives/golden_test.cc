// Every objective's loss and gradient against a reference that sees the model's outputs for one text at a
// time and writes the papers' formulas in plain loops in double; on whole models and with adapters.
// (Preferences: preference_test.cc.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "base/digest.h"
#include "data/token_shard.h"
#include "io/jsonl.h"
#include "runtime/engine.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "train/examples.h"
#include "train/small_bert.h"
#include "train/test_reference.h"

namespace volant {
namespace {

using testing::expect_loss_and_gradient;
using testing::log_softmax;
using testing::Numbers;
using testing::outputs_of;
using testing::PreparedRun;
using Ids = std::vector<int32_t>;

constexpr const char* kSentences[] = {"Once upon a time there was a cat.", "Tom and Lily ran to the park.",
                                      "The dog saw a big red ball."};

class Golden : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    stories_ = *data / "models/stories260K";
    bert_ = *data / "models/tiny-bert";
  }
  // A job on stories260K whose step is one pass over the rows.
  JsonObject job(const char* objective, const std::vector<JsonObject>& rows) const {
    std::string text;
    for (const JsonObject& row : rows) text += dump_json(row) + "\n";
    EXPECT_TRUE(write_file_atomic(scratch_ / "rows.jsonl", text));
    return {{"objective", objective},
            {"model", JsonObject{{"init_from", stories_.string()}}},
            {"data", JsonObject{{"train_rows", (scratch_ / "rows.jsonl").string()}}},
            {"dtype", "f32"},
            {"max_seq_len", 200},
            {"tokens_per_step", 100000},
            {"micro_batch_tokens", 250},
            {"n_threads", 1}};
  }
  std::unique_ptr<PreparedRun> prepare(const JsonObject& job) const {
    auto run = PreparedRun::make(job, scratch_.path());
    // Somewhere else than the start.
    testing::move(*run->model, testing::random_direction(*run->model, 11), 0.01F);
    return run;
  }
  static Ids ids_of(const Tokenizer& tokenizer, const std::string& text) {
    return tokenizer.encode(text, {.add_special = true, .parse_special = false});
  }

  testing::ScratchDir scratch_;
  Path stories_, bert_;
};

// Mean over all documents' ids of -log p.
TEST_F(Golden, Pretraining) {
  const auto tokenizer = load_tokenizer(stories_).value();
  std::vector<Ids> documents;
  size_t n = 0;
  for (const char* text : kSentences) {
    documents.push_back(ids_of(*tokenizer, text));
    n += documents.back().size() - 1;
  }
  ASSERT_TRUE(write_token_shard(scratch_ / "train", documents, tokenizer->n_vocab()));
  JsonObject shards = job("pretrain", {});
  shards["data"] = JsonObject{{"train_shard", (scratch_ / "train").string()}};
  shards["tokens_per_step"] = n;  // one pass
  const auto run = prepare(shards);
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0;
    for (const Ids& document : documents)
      for (const double log_p : testing::log_probs_of(model, document)) sum -= log_p;
    return sum / static_cast<double>(n);
  });
}

JsonObject turn(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

const std::vector<JsonObject>& conversations() {
  static const std::vector<JsonObject> all = {
      {{"messages", JsonArray{turn("user", "Who are you?"), turn("assistant", "I am a cat."),
                              turn("user", "Why?"), turn("assistant", "Nobody knows.")}},
       {"weight", 2.0}},
      {{"messages", JsonArray{turn("system", "Be short."), turn("user", "Tell me a story."),
                              turn("assistant", kSentences[0])}}}};
  return all;
}

// Weighted mean of -log p of what the assistant says.
double answers_loss(const TorchModel& model, const Tokenizer& tokenizer,
                    const std::vector<JsonObject>& rows) {
  const ChatTemplate chat = ChatTemplate::parse(default_chat_template()).value();
  double sum = 0, weight = 0;
  for (const JsonObject& row : rows) {
    const auto each = json_number_or(row, "weight", 1.0).value();
    const Example example =
        conversation_example({.messages = row.at("messages").as_array(), .tools = {}}, tokenizer, chat)
            .value();
    const Numbers log_p = testing::log_probs_of(model, example.ids);
    for (size_t i = 0; i < log_p.size(); ++i) {
      const double w = example.weights[i + 1] > 0 ? each : 0;
      sum -= w * log_p[i];
      weight += w;
    }
  }
  return sum / weight;
}

TEST_F(Golden, AnswersOfConversationsOnTheWholeModelAndWithAdapters) {
  for (const char* adapter :
       {"", R"({"kind": "lora", "r": 4})", R"({"kind": "rslora", "r": 4})",
        R"({"kind": "lora", "r": 4, "base_bits": 8})", R"({"kind": "rslora", "r": 4, "base_bits": 4})"}) {
    SCOPED_TRACE(adapter);
    JsonObject sft = job("sft", conversations());
    if (*adapter != 0) sft["adapter"] = parse_json(adapter).value();
    const auto run = prepare(sft);
    expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
      return answers_loss(model, *run->tokenizer, conversations());
    });
  }
}

// alpha T^2 KL(teacher || student) of softened distributions, and 1 - alpha of the plain loss.
TEST_F(Golden, DistillationFromProbabilities) {
  JsonObject distil = job("sft", conversations());
  distil["distil"] = JsonObject{{"teacher", stories_.string()}, {"temperature", 2.0}, {"alpha", 0.7}};
  const auto run = prepare(distil);
  const TorchModel teacher = open_torch_model(stories_, false).value();
  const ChatTemplate chat = ChatTemplate::parse(default_chat_template()).value();
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0, weight = 0;
    for (const JsonObject& row : conversations()) {
      const auto each = json_number_or(row, "weight", 1.0).value();
      const Example example = conversation_example({.messages = row.at("messages").as_array(), .tools = {}},
                                                   *run->tokenizer, chat)
                                  .value();
      const Ids read(example.ids.begin(), example.ids.end() - 1);
      const auto own = outputs_of(model, read), his = outputs_of(teacher, read);
      for (size_t i = 0; i < read.size(); ++i) {
        if (example.weights[i + 1] <= 0) continue;
        const Numbers p = log_softmax(his[i], 2), q = log_softmax(own[i], 2);
        double kl = 0;
        for (size_t v = 0; v < p.size(); ++v) kl += std::exp(p[v]) * (p[v] - q[v]);
        sum += each * (0.7 * 4 * kl - 0.3 * log_softmax(own[i])[static_cast<size_t>(example.ids[i + 1])]);
        weight += each;
      }
    }
    return sum / weight;
  });
}

// The teacher's own answers, sampled here once more from the run's seeds, and the plain loss on them.
TEST_F(Golden, DistillationFromSequences) {
  std::vector<JsonObject> asked, answered;
  for (int i = 0; i < 8; ++i)
    asked.push_back({{"prompt", "Tell me of " + std::to_string(i) + " cats"}, {"weight", i + 1}});
  JsonObject distil = job("sft", asked);
  distil["distil"] = JsonObject{
      {"teacher", stories_.string()}, {"from", "sequences"}, {"temperature", 2.0}, {"max_new_tokens", 400}};
  distil["max_seq_len"] = 512;
  const auto run = prepare(distil);
  const auto engine = Engine::open(stories_, {.n_threads = 1}).value();
  for (size_t i = 0; i < asked.size(); ++i) {
    const JsonObject question = turn("user", std::string(asked[i].at("prompt").as_string()));
    const auto answer =
        engine
            ->generate({.prompt = engine->encode_chat({question}).value(),
                        .max_tokens = 400,
                        .sampling = {.temperature = 2, .seed = hash64(fmt::format("1 {}", i))}})
            .value();
    if (answer.finish != FinishReason::kStop) continue;  // cut answers are not learned from
    answered.push_back({{"messages", JsonArray{question, turn("assistant", answer.text)}},
                        {"weight", asked[i].at("weight")}});
  }
  const auto written = read_jsonl(scratch_ / "teacher_rows.jsonl").value();
  ASSERT_EQ(written.size(), answered.size());
  ASSERT_GT(written.size(), 0U);
  for (size_t i = 0; i < written.size(); ++i) EXPECT_EQ(written[i], Json(answered[i]));
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    return answers_loss(model, *run->tokenizer, answered);
  });
}

// Weighted mean cross-entropy, smoothed: 1 - s on the label and s / 3 on each of the three.
double label_loss_of(const Numbers& scores, size_t label, double smoothing) {
  const Numbers log_p = log_softmax(scores);
  double loss = -(1 - smoothing) * log_p[label];
  for (const double each : log_p) loss -= smoothing / static_cast<double>(log_p.size()) * each;
  return loss;
}

TEST_F(Golden, LabelsOfSequences) {
  const std::vector<std::pair<std::string, size_t>> texts = {
      {kSentences[0], 0}, {kSentences[1], 1}, {kSentences[2], 1}, {"Sue slept.", 2}};
  constexpr const char* kLabels[] = {"cat", "dog", "none"};
  std::vector<JsonObject> rows;
  for (const auto& [text, label] : texts) rows.push_back({{"text", text}, {"label", kLabels[label]}});
  JsonObject classify = job("classify", rows);
  classify["classify"] = JsonObject{{"class_weights", JsonObject{{"cat", 3.0}}}};
  classify["label_smoothing"] = 0.1;
  const auto run = prepare(classify);
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0, weight = 0;
    for (const auto& [text, label] : texts) {
      const auto scores = outputs_of(model, ids_of(*run->tokenizer, text), testing::TokenRows::Read::kLast);
      const double w = label == 0 ? 3 : 1;
      sum += w * label_loss_of(scores[0], label, 0.1);
      weight += w;
    }
    return sum / weight;
  });
}

// The label of a word stands at its first token: the first one whose text, with all before it, reaches into
// the word.
TEST_F(Golden, LabelsOfWords) {
  const std::vector<std::pair<std::vector<std::string>, std::vector<size_t>>> texts = {
      {{"The", "butterfly", "saw", "Grandmother"}, {2, 0, 2, 1}}, {{"Tom", "slept"}, {1, 2}}};
  constexpr const char* kLabels[] = {"ANIMAL", "NAME", "O"};
  std::vector<JsonObject> rows;
  for (const auto& [words, labels] : texts) {
    JsonArray tags;
    for (const size_t label : labels) tags.emplace_back(kLabels[label]);
    rows.push_back({{"tokens", JsonArray(words.begin(), words.end())}, {"tags", tags}});
  }
  const auto run = prepare(job("classify", rows));
  ASSERT_EQ(run->config.architecture, "LlamaForTokenClassification");
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0, n = 0;
    for (const auto& [words, labels] : texts) {
      std::string text;
      for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
      const Ids ids = ids_of(*run->tokenizer, text);
      // No token that is the blank before the text alone: whose it is would be a matter of taste.
      EXPECT_FALSE(run->tokenizer->decode(std::span(ids).first(2)).empty());
      const auto scores = outputs_of(model, ids);
      size_t begin = 0;  // of the word
      for (size_t w = 0; w < words.size(); begin += words[w++].size() + 1) {
        size_t t = 1;
        while (run->tokenizer->decode(std::span(ids).first(t)).size() <= begin) ++t;
        sum += label_loss_of(scores[t - 1], labels[w], 0);
        ++n;
      }
    }
    return sum / n;
  });
}

Numbers unit(Numbers v) {
  double squares = 0;
  for (const double x : v) squares += x * x;
  for (double& x : v) x /= std::sqrt(squares);
  return v;
}

// InfoNCE by cosine (van den Oord et al. 2018): each anchor's positive against all positives and negatives.
TEST_F(Golden, EmbeddingsWithEachPoolingInPiecesAndWithAnAdapter) {
  const std::vector<std::array<std::string, 3>> triples = {
      {kSentences[0], "A cat lived long ago.", "The river rose."},
      {kSentences[1], "Children in a park.", "Nobody came."},
      {kSentences[2], "A ball, and a dog.", "It was cold."}};
  std::vector<JsonObject> rows;
  for (const auto& [anchor, positive, negative] : triples)
    rows.push_back({{"anchor", anchor}, {"positive", positive}, {"negative", negative}});
  const Path bert = testing::write_small_bert(scratch_ / "bert", bert_);
  for (const std::string how : {"mean", "cls", "last", "pieces", "adapter"}) {
    SCOPED_TRACE(how);
    JsonObject embed = job("embed", rows);
    embed["model"] = JsonObject{{"init_from", bert.string()}};
    embed["max_seq_len"] = 32;
    embed["micro_batch_tokens"] = how == "pieces" ? 40 : 4096;
    embed["embed"] = JsonObject{
        {"batch_size", 3}, {"temperature", 0.2}, {"pooling", how.size() == 4 || how == "cls" ? how : "mean"}};
    if (how == "adapter") embed["adapter"] = JsonObject{{"kind", "lora"}, {"r", 4}};
    const auto run = prepare(embed);
    const auto vector_of = [&](const TorchModel& model, const std::string& text) {
      const auto hidden = outputs_of(model, ids_of(*run->tokenizer, text));
      if (how == "cls") return unit(hidden.front());
      if (how == "last") return unit(hidden.back());
      Numbers sum(hidden[0].size());
      for (const Numbers& row : hidden)
        for (size_t d = 0; d < sum.size(); ++d) sum[d] += row[d];
      return unit(sum);
    };
    expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
      std::vector<Numbers> anchors, candidates;
      for (const auto& triple : triples) anchors.push_back(vector_of(model, triple[0]));
      for (const size_t part : {1, 2})
        for (const auto& triple : triples) candidates.push_back(vector_of(model, triple[part]));
      // Rows come shuffled, but the loss does not depend on the order.
      double sum = 0;
      for (size_t i = 0; i < anchors.size(); ++i) {
        Numbers scores;
        for (const Numbers& candidate : candidates) {
          double cosine = 0;
          for (size_t d = 0; d < candidate.size(); ++d) cosine += anchors[i][d] * candidate[d];
          scores.push_back(cosine / 0.2);
        }
        sum -= log_softmax(scores)[i];
      }
      return sum / static_cast<double>(anchors.size());
    });
  }
}

// -log sigmoid of how far the chosen answer's score leads (Bradley and Terry 1952).
TEST_F(Golden, RewardModel) {
  const auto conversation = [](const std::string& question, const std::string& answer) {
    return JsonArray{turn("user", question), turn("assistant", answer)};
  };
  const std::vector<std::array<std::string, 3>> pairs = {{"Who are you?", "I am a cat.", "No."},
                                                         {"Why?", "Nobody knows why.", "xx xx xx"}};
  const double weights[] = {1, 0.5};
  std::vector<JsonObject> rows;
  for (size_t i = 0; i < pairs.size(); ++i)
    rows.push_back({{"prompt", pairs[i][0]},
                    {"chosen", pairs[i][1]},
                    {"rejected", pairs[i][2]},
                    {"weight", weights[i]}});
  const auto run = prepare(job("reward_model", rows));
  const ChatTemplate chat = ChatTemplate::parse(default_chat_template()).value();
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0;
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto score = [&](const std::string& answer) {
        const Example example =
            conversation_example({.messages = conversation(pairs[i][0], answer), .tools = {}},
                                 *run->tokenizer, chat)
                .value();
        return outputs_of(model, example.ids, testing::TokenRows::Read::kLast)[0][0];
      };
      sum += weights[i] * std::log(1 + std::exp(score(pairs[i][2]) - score(pairs[i][1])));
    }
    return sum / 1.5;
  });
}

// The second step on the same answers, by a policy that has moved: ratios are not 1, some are clipped.
TEST_F(Golden, GroupRelativePolicyOptimisationOnTheWholeModelAndWithAdapters) {
  for (const char* adapter : {"", R"({"kind": "lora", "r": 4, "alpha": 4})",
                              R"({"kind": "lora", "r": 4, "alpha": 4, "base_bits": 8})"}) {
    SCOPED_TRACE(adapter);
    JsonObject grpo = job("grpo", {{{"prompt", "Once upon a time"}, {"answer", "e"}},
                                   {{"prompt", "The dog"}, {"answer", "e"}}});
    grpo["grpo"] = JsonObject{{"prompts_per_step", 2}, {"group_size", 6}, {"max_new_tokens", 5},
                              {"reward", "regex"},     {"beta", 0.3},     {"inner_epochs", 2}};
    if (*adapter != 0) grpo["adapter"] = parse_json(adapter).value();
    const auto run = PreparedRun::make(grpo, scratch_.path());
    TorchModel& model = *run->model;
    const StepLoss first = run->objective->step(model).value();
    EXPECT_EQ(first.metrics.at("kl").to_number<double>(), 0) << "nothing has moved from the base yet";
    const Json state = run->objective->state();
    const JsonArray& samples = state.at("samples").as_array();
    ASSERT_EQ(samples.size(), 12U);
    const auto reward_of = [&](size_t i) {  // kept as its bits
      return std::bit_cast<double>(samples[i].at("reward").as_int64());
    };
    struct Answer {
      Ids ids;
      size_t n_prompt = 0;
      double advantage = 0;
      Numbers old;
      Numbers log_p(const TorchModel& of) const {
        const Numbers all = testing::log_probs_of(of, ids);
        return {all.begin() + static_cast<std::ptrdiff_t>(n_prompt) - 1, all.end()};
      }
    };
    std::vector<Answer> answers;
    for (const Json& sample : samples) {
      Answer answer;
      for (const Json& id : sample.at("ids").as_array())
        answer.ids.push_back(static_cast<int32_t>(id.as_int64()));
      answer.n_prompt = static_cast<size_t>(sample.at("n_prompt").as_int64());
      answer.old = answer.log_p(model);  // it has not moved yet: the policy that answered, and the reference
      answers.push_back(std::move(answer));
    }
    for (size_t group = 0; group < 2; ++group) {
      double mean = 0, squares = 0;
      for (size_t i = 6 * group; i < 6 * group + 6; ++i) {
        const std::string text =
            run->tokenizer->decode(std::span(answers[i].ids).subspan(answers[i].n_prompt));
        EXPECT_EQ(reward_of(i), text.find('e') != std::string::npos ? 1 : 0) << text;
        mean += reward_of(i) / 6;
      }
      for (size_t i = 6 * group; i < 6 * group + 6; ++i) squares += std::pow(reward_of(i) - mean, 2) / 6;
      for (size_t i = 6 * group; i < 6 * group + 6; ++i)
        answers[i].advantage = (reward_of(i) - mean) / (std::sqrt(squares) + 1e-4);
    }
    testing::move(model, testing::random_direction(model, 3), *adapter == 0 ? 0.02F : 0.04F);
    const StepLoss second = expect_loss_and_gradient(*run->objective, model, [&](const TorchModel& now) {
      double sum = 0;
      for (const Answer& answer : answers) {
        const Numbers log_p = answer.log_p(now);
        double loss = 0;
        for (size_t t = 0; t < log_p.size(); ++t) {
          const double ratio = std::exp(log_p[t] - answer.old[t]), d = answer.old[t] - log_p[t];
          const double clipped = std::min(std::max(ratio, 0.8), 1.2);
          loss -= std::min(ratio * answer.advantage, clipped * answer.advantage);
          loss += 0.3 * (std::exp(d) - d - 1);
        }
        sum += loss / static_cast<double>(log_p.size());
      }
      return sum / static_cast<double>(answers.size());
    });
    EXPECT_GT(second.metrics.at("clipped").to_number<double>(), 0);
  }
}

// Mean over the targets of all pairs of -log p, given the source and the true words before.
TEST_F(Golden, SourceAndTarget) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"the cat sat", "on a mat"}, {"one dog", "ran"}, {"sun", "rises in the morning"}};
  std::vector<JsonObject> rows;
  for (const auto& [source, target] : pairs) rows.push_back({{"prompt", source}, {"completion", target}});
  JsonObject write = job("sft", rows);
  write["tokenizer"] = stories_.string();
  write["model"] = JsonObject{{"config", JsonObject{{"architectures", {"T5ForConditionalGeneration"}},
                                                    {"vocab_size", 512},
                                                    {"d_model", 32},
                                                    {"d_kv", 8},
                                                    {"d_ff", 64},
                                                    {"num_layers", 2},
                                                    {"num_heads", 4},
                                                    {"relative_attention_num_buckets", 8},
                                                    {"relative_attention_max_distance", 20},
                                                    {"feed_forward_proj", "gated-gelu"}}}};
  const auto run = PreparedRun::make(write, scratch_.path());
  testing::move(*run->model, testing::random_direction(*run->model, 2), 0.1F);
  const auto ids = [&](const std::string& text) {
    Ids all = run->tokenizer->encode(text, {.add_special = false, .parse_special = false});
    all.push_back(*run->tokenizer->eos_id());
    return all;
  };
  expect_loss_and_gradient(*run->objective, *run->model, [&](const TorchModel& model) {
    double sum = 0, n = 0;
    for (const auto& [source, target] : pairs) {
      const Ids targets = ids(target);
      Ids read = targets;
      read.insert(read.begin(), 0);  // the start mark
      read.pop_back();
      testing::Pairs pair;
      pair.add(ids(source), read);
      const std::vector<float> logits = model.output(pair.view()).value();
      const size_t n_vocab = logits.size() / targets.size();
      for (size_t t = 0; t < targets.size(); ++t) {
        const Numbers row(logits.begin() + static_cast<std::ptrdiff_t>(t * n_vocab),
                          logits.begin() + static_cast<std::ptrdiff_t>((t + 1) * n_vocab));
        sum -= log_softmax(row)[static_cast<size_t>(targets[t])];
        ++n;
      }
    }
    return sum / n;
  });
}

}  // namespace
}  // namespace volant
