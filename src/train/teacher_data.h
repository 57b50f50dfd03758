// Training data that a model makes: documents that it tells by itself, and its answers to prompts (sequence-
// level distillation, Kim and Rush 2016). Made once, kept in the run's folder, the same for the same seed.
#pragma once
#include "text/tokenizer.h"
#include "train/distil_job.h"

namespace volant {

// Writes token shards, those of validation and test when they have documents: each document starts with the
// model's bos and ends with the id that ended it. kInvalidArgument when the model has no bos, or when it has
// another vocabulary than `tokenizer`.
Status write_sampled_corpus(const SampledCorpus& how, const Tokenizer& tokenizer, int n_threads,
                            const Path& train_shard, const Path& validation_shard, const Path& test_shard);

// The rows of `from` (messages whose last turn, when the assistant's, is left out; or "prompt") with the
// teacher's answers as last turn, as JSON Lines. Answers that did not end are left out.
Status write_teacher_rows(const DistilJob& how, uint64_t seed, int n_threads, const Path& from,
                          const Path& to);

// kInvalidArgument names the first id on which the two disagree.
Status check_same_vocabulary(const Tokenizer& student, const Tokenizer& teacher);

}  // namespace volant
