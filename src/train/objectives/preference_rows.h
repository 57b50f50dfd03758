// Rows of preferences as ids: two answers a row, and batches of such answers with their log-probabilities.
#pragma once
#include <array>

#include "models/instances/torch.h"
#include "train/batches.h"
#include "train/job.h"

namespace volant {

struct PreferenceRow {
  // A pair: the chosen answer and the rejected one. A judgement (KTO): the answer, and another prompt's
  // answer to this prompt, by which the divergence from the reference is estimated.
  std::array<Example, 2> answers;
  bool desirable = true;  // of a judgement
  double weight = 1;
};

// Rows of a file in any layout; as judgements when the loss is KTO's (a pair is two of them). Rows with an
// answer that begins beyond max_seq_len are left out, with a warning. kInvalidArgument for rows of another
// kind.
Result<std::vector<PreferenceRow>> preference_rows(const Path& rows, const TrainJob& job,
                                                   const Tokenizer& tokenizer,
                                                   const ChatTemplate& chat_template);

// Answers in one batch, each a sequence of its own with its prompt.
struct AnswerBatch {
  TrainBatch batch;
  std::vector<size_t> begins{0};  // the targets of answer i are begins[i] .. begins[i + 1] - 1

  // What lies beyond max_seq_len is cut off.
  void add(const Example& answer, int64_t max_seq_len);
  size_t size() const { return begins.size() - 1; }
  double log_prob(size_t answer, std::span<const double> log_p) const;  // sum of weight * log p
  double n_tokens(size_t answer) const;                                 // sum of the weights
  // d loss / d log p of each target, from that by log_prob(answer).
  void spread(size_t answer, double derivative, std::span<double> gradient) const;
};

// Which of a row's answers are looked at.
struct AnswerRange {
  size_t begin = 0, end = 2;
};
// Rows in the batch of an answer.
int64_t answer_tokens(const PreferenceRow& row, AnswerRange answers, int64_t max_seq_len);
// The rows in groups of at most `tokens`, one row at least: begins of the groups, and the end.
std::vector<size_t> group_rows(const std::vector<const PreferenceRow*>& rows, AnswerRange answers,
                               int64_t max_seq_len, int64_t tokens);
AnswerBatch answer_batch(std::span<const PreferenceRow* const> rows, AnswerRange answers,
                         int64_t max_seq_len);

using AnswerSums = std::vector<std::array<double, 2>>;
// log_prob() of the answers of all rows under the model; those outside of the range stay 0.
Result<AnswerSums> answer_log_probs(const TorchModel& model, const std::vector<const PreferenceRow*>& rows,
                                    AnswerRange answers, const TrainJob& job);

}  // namespace volant
