// Settings of "distil": a student learns from a teacher, by its probabilities (pretraining and fine-tuning)
// or by its answers (fine-tuning); and of "sampled", documents that a model tells by itself.
#pragma once
#include <string>

#include "base/json.h"
#include "io/file.h"

namespace volant {

struct DistilJob {
  Path teacher;                 // a model folder with the student's vocabulary ("sequences": any)
  std::string from = "logits";  // logits | sequences
  // logits: alpha * T^2 KL(teacher || student) + (1 - alpha) * the plain loss; sequences: of the sampling.
  double temperature = 1;
  double alpha = 0.5;
  int64_t top_k = 0;             // logits: the teacher's best words alone; 0: all
  int64_t max_new_tokens = 256;  // sequences: of an answer
};

Result<DistilJob> parse_distil_job(const Json& json, const Path& folder);

// "sampled" in "data": a corpus from a model's own start token.
struct SampledCorpus {
  Path model;
  int64_t n_train = 1000, n_validation = 100, n_test = 0;  // documents
  int64_t max_tokens = 256;                                // of each, with the first
  double temperature = 1;
  int64_t seed = 1;
};

Result<SampledCorpus> parse_sampled_corpus(const Json& json, const Path& folder);

}  // namespace volant
