#include "train/objectives/preference_rows.h"

#include <algorithm>

#include "base/log.h"

namespace volant {
namespace {

// A row as it was read, before its ids are known.
struct Judgement {
  JsonArray prompt, completion, tools;
  bool desirable = true;
  float weight = 1;
};

Judgement judgement_of(const JsonObject& row, const char* answer, bool desirable, float weight) {
  Judgement out{.prompt = row.at("prompt").get_array(),
                .completion = row.at(answer).get_array(),
                .tools = {},
                .desirable = desirable,
                .weight = weight};
  if (const Json* tools = json_find(row, "tools")) out.tools = tools->get_array();
  return out;
}

bool is_pair(const JsonObject& row) { return row.contains("chosen") && row.contains("rejected"); }

class RowMaker {
 public:
  RowMaker(const TrainJob& job, const Tokenizer& tokenizer, const ChatTemplate& chat_template)
      : job_(job), tokenizer_(tokenizer), template_(chat_template) {}

  Result<Example> answer(const Judgement& asked, const JsonArray& completion) const {
    Conversation conversation{
        .messages = asked.prompt, .tools = asked.tools, .first_answer = asked.prompt.size(), .weight = 1};
    conversation.messages.insert(conversation.messages.end(), completion.begin(), completion.end());
    return conversation_example(conversation, tokenizer_, template_);
  }
  // Whether something of both answers is learned from.
  bool fits(const PreferenceRow& row) const {
    return std::all_of(row.answers.begin(), row.answers.end(), [&](const Example& answer) {
      const size_t end = std::min(answer.ids.size(), static_cast<size_t>(job_.max_seq_len) + 1);
      for (size_t i = 1; i < end; ++i)
        if (answer.weights[i] > 0) return true;
      return false;
    });
  }
  Result<PreferenceRow> pair(const JsonObject& row) const {
    if (!is_pair(row))
      return fail(ErrorCode::kInvalidArgument,
                  "expected 'chosen' and 'rejected' for the loss '{}'; the loss 'kto' learns from labels",
                  job_.preference.loss_name());
    const float weight = TRY(weight_of(row));
    const Judgement chosen = judgement_of(row, "chosen", true, weight);
    return PreferenceRow{.answers = {TRY(answer(chosen, chosen.completion)),
                                     TRY(answer(chosen, row.at("rejected").get_array()))},
                         .desirable = true,
                         .weight = weight};
  }
  Result<std::vector<Judgement>> judgements(const JsonObject& row) const {
    const float weight = TRY(weight_of(row));
    if (is_pair(row))
      return std::vector{judgement_of(row, "chosen", true, weight),
                         judgement_of(row, "rejected", false, weight)};
    if (!row.contains("completion"))
      return fail(ErrorCode::kInvalidArgument, "expected an answer with 'label', or 'chosen' and 'rejected'");
    return std::vector{judgement_of(row, "completion", row.at("label").get_bool(), weight)};
  }

 private:
  const TrainJob& job_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
};

// Each judgement with the answer to the next prompt that is another one.
Result<std::vector<PreferenceRow>> with_other_answers(const std::vector<Judgement>& all,
                                                      const RowMaker& maker) {
  std::vector<PreferenceRow> rows;
  for (size_t i = 0; i < all.size(); ++i) {
    size_t other = (i + 1) % all.size();
    while (other != i && all[other].prompt == all[i].prompt) other = (other + 1) % all.size();
    if (other == i)
      return fail(ErrorCode::kInvalidArgument, "expected two different prompts or more for 'kto'");
    rows.push_back({.answers = {TRY(maker.answer(all[i], all[i].completion)),
                                TRY(maker.answer(all[i], all[other].completion))},
                    .desirable = all[i].desirable,
                    .weight = all[i].weight});
  }
  return rows;
}

}  // namespace

Result<std::vector<PreferenceRow>> preference_rows(const Path& path, const TrainJob& job,
                                                   const Tokenizer& tokenizer,
                                                   const ChatTemplate& chat_template) {
  const RowMaker maker(job, tokenizer, chat_template);
  const bool judged = job.preference.loss == PreferenceJob::Loss::kKto;
  std::vector<PreferenceRow> rows;
  std::vector<Judgement> judgements;
  TRY(for_each_row(path, [&](const JsonObject& row) -> Status {
    if (!judged) {
      rows.push_back(TRY(maker.pair(row)));
      return {};
    }
    for (Judgement& each : TRY(maker.judgements(row))) judgements.push_back(std::move(each));
    return {};
  }));
  if (judged) rows = TRY(with_other_answers(judgements, maker));
  const size_t all = rows.size();
  std::erase_if(rows, [&](const PreferenceRow& row) { return !maker.fits(row); });
  if (rows.size() < all)
    log_warning("{} of {} rows are left out: an answer of theirs begins beyond max_seq_len {}",
                all - rows.size(), all, job.max_seq_len);
  return rows;
}

void AnswerBatch::add(const Example& answer, int64_t max_seq_len) {
  batch.add(answer, 0, std::min(static_cast<int64_t>(answer.ids.size()) - 1, max_seq_len));
  begins.push_back(batch.targets.size());
}

double AnswerBatch::log_prob(size_t answer, std::span<const double> log_p) const {
  double sum = 0;
  for (size_t t = begins[answer]; t < begins[answer + 1]; ++t)
    sum += static_cast<double>(batch.weights[t]) * log_p[t];
  return sum;
}

double AnswerBatch::n_tokens(size_t answer) const {
  double sum = 0;
  for (size_t t = begins[answer]; t < begins[answer + 1]; ++t) sum += static_cast<double>(batch.weights[t]);
  return sum;
}

void AnswerBatch::spread(size_t answer, double derivative, std::span<double> gradient) const {
  for (size_t t = begins[answer]; t < begins[answer + 1]; ++t)
    gradient[t] = derivative * static_cast<double>(batch.weights[t]);
}

int64_t answer_tokens(const PreferenceRow& row, AnswerRange answers, int64_t max_seq_len) {
  int64_t n = 0;
  for (size_t a = answers.begin; a < answers.end; ++a)
    n += std::min(static_cast<int64_t>(row.answers[a].ids.size()) - 1, max_seq_len);
  return n;
}

std::vector<size_t> group_rows(const std::vector<const PreferenceRow*>& rows, AnswerRange answers,
                               int64_t max_seq_len, int64_t tokens) {
  std::vector<size_t> begins{0};
  int64_t filled = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t n = answer_tokens(*rows[i], answers, max_seq_len);
    if (filled > 0 && filled + n > tokens) {
      begins.push_back(i);
      filled = 0;
    }
    filled += n;
  }
  if (!rows.empty()) begins.push_back(rows.size());
  return begins;
}

AnswerBatch answer_batch(std::span<const PreferenceRow* const> rows, AnswerRange answers,
                         int64_t max_seq_len) {
  AnswerBatch out;
  for (const PreferenceRow* row : rows)
    for (size_t a = answers.begin; a < answers.end; ++a) out.add(row->answers[a], max_seq_len);
  out.batch.pad();
  return out;
}

Result<AnswerSums> answer_log_probs(const TorchModel& model, const std::vector<const PreferenceRow*>& rows,
                                    AnswerRange answers, const TrainJob& job) {
  AnswerSums sums(rows.size(), {0, 0});
  const std::vector<size_t> groups = group_rows(rows, answers, job.max_seq_len, job.micro_batch_tokens);
  for (size_t g = 0; g + 1 < groups.size(); ++g) {
    const std::span group = std::span(rows).subspan(groups[g], groups[g + 1] - groups[g]);
    const AnswerBatch batch = answer_batch(group, answers, job.max_seq_len);
    const std::vector<double> log_p = TRY(model.log_probs(batch.batch.view(), batch.batch.targets));
    size_t at = 0;
    for (size_t i = 0; i < group.size(); ++i)
      for (size_t a = answers.begin; a < answers.end; ++a)
        sums[groups[g] + i][a] = batch.log_prob(at++, log_p);
  }
  return sums;
}

}  // namespace volant
