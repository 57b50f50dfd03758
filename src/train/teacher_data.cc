#include "train/teacher_data.h"

#include "base/digest.h"
#include "base/log.h"
#include "data/token_shard.h"
#include "io/jsonl.h"
#include "train/prompt_rows.h"
#include "train/rollouts.h"

namespace volant {
namespace {

// Answers between two lines of the log.
constexpr size_t kAtOnce = 1024;

// Answers in large pieces, so that a person sees that it goes on.
Result<std::vector<Rollout>> all_answers(Rollouts& rollouts, const std::vector<RolloutRequest>& requests,
                                         int64_t max_new_tokens, double temperature) {
  std::vector<Rollout> all;
  for (size_t begin = 0; begin < requests.size(); begin += kAtOnce) {
    const size_t end = std::min(begin + kAtOnce, requests.size());
    const std::vector<RolloutRequest> some(requests.begin() + static_cast<std::ptrdiff_t>(begin),
                                           requests.begin() + static_cast<std::ptrdiff_t>(end));
    for (Rollout& each : TRY(rollouts.answers(some, max_new_tokens, temperature)))
      all.push_back(std::move(each));
    log_info("sampled {} of {}", end, requests.size());
  }
  return all;
}

}  // namespace

Status check_same_vocabulary(const Tokenizer& student, const Tokenizer& teacher) {
  if (student.n_vocab() != teacher.n_vocab())
    return fail(ErrorCode::kInvalidArgument, "expected a teacher with the student's {} tokens, got {}",
                student.n_vocab(), teacher.n_vocab());
  for (int32_t id = 0; id < student.n_vocab(); ++id)
    if (student.token_text(id) != teacher.token_text(id))
      return fail(ErrorCode::kInvalidArgument,
                  "expected a teacher with the student's vocabulary, but id {} is '{}' there and '{}' here",
                  id, teacher.token_text(id), student.token_text(id));
  return {};
}

Status write_sampled_corpus(const SampledCorpus& how, const Tokenizer& tokenizer, int n_threads,
                            const Path& train_shard, const Path& validation_shard, const Path& test_shard) {
  Rollouts rollouts = TRY(Rollouts::open(how.model, n_threads, how.max_tokens));
  TRY(check_same_vocabulary(tokenizer, rollouts.engine().tokenizer()));
  if (!tokenizer.bos_id())
    return fail(ErrorCode::kInvalidArgument, "expected a model that starts documents with a bos token")
        .at(how.model.string());
  std::vector<RolloutRequest> requests;
  for (int64_t i = 0; i < how.n_train + how.n_validation + how.n_test; ++i)
    requests.push_back({{*tokenizer.bos_id()}, hash64(fmt::format("{} {}", how.seed, i))});
  const std::vector<Rollout> told = TRY(all_answers(rollouts, requests, how.max_tokens - 1, how.temperature));
  std::vector<std::vector<int32_t>> train, validation, test;
  for (size_t i = 0; i < told.size(); ++i) {
    std::vector<int32_t> document = requests[i].prompt;
    document.insert(document.end(), told[i].ids.begin(), told[i].ids.end());
    auto& part = std::cmp_less(i, how.n_validation)                 ? validation
                 : std::cmp_less(i, how.n_validation + how.n_train) ? train
                                                                    : test;
    part.push_back(std::move(document));
  }
  if (how.n_validation > 0) TRY(write_token_shard(validation_shard, validation, tokenizer.n_vocab()));
  if (how.n_test > 0) TRY(write_token_shard(test_shard, test, tokenizer.n_vocab()));
  return write_token_shard(train_shard, train, tokenizer.n_vocab());
}

Status write_teacher_rows(const DistilJob& how, uint64_t seed, int n_threads, const Path& from,
                          const Path& to) {
  Rollouts rollouts = TRY(Rollouts::open(how.teacher, n_threads, 0));
  const std::vector<PromptRow> rows = TRY(read_prompt_rows(from));
  std::vector<RolloutRequest> requests;
  for (size_t i = 0; i < rows.size(); ++i) {
    auto ids = rollouts.engine().encode_chat(rows[i].messages);
    if (!ids) return std::move(ids).error().at(rows[i].place);
    requests.push_back({std::move(*ids), hash64(fmt::format("{} {}", seed, i))});
  }
  const std::vector<Rollout> answers =
      TRY(all_answers(rollouts, requests, how.max_new_tokens, how.temperature));
  JsonlWriter writer = TRY(JsonlWriter::create(to));
  size_t n_kept = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!answers[i].ended) continue;
    JsonArray messages = rows[i].messages;
    messages.push_back(message_of("assistant", rollouts.text(answers[i])));
    JsonObject row{{"messages", std::move(messages)}};
    if (const Json* weight = json_find(rows[i].row, "weight")) row["weight"] = *weight;
    TRY(writer.write(row));
    ++n_kept;
  }
  if (n_kept == 0)
    return fail(ErrorCode::kInvalidArgument, "none of the teacher's answers ended within {} tokens",
                how.max_new_tokens)
        .at(how.teacher.string());
  log_info("the teacher answered {} prompts, {} within {} tokens", rows.size(), n_kept, how.max_new_tokens);
  return writer.finish();
}

}  // namespace volant
