// Log-probabilities under the model that a run starts from: computed once, kept in the run's folder
// (`reference.json`), and read again on a resume.
#pragma once
#include "train/objectives/preference_rows.h"

namespace volant {

struct ReferenceLogProbs {
  AnswerSums train, validation;  // of all items, in their order
};

// `model` has its starting weights. The file counts when it is of these weights, rows and max_seq_len; else
// it is written anew.
Result<ReferenceLogProbs> reference_log_probs(const TorchModel& model, const TrainJob& job,
                                              const std::vector<PreferenceRow>& train,
                                              const std::vector<PreferenceRow>& validation);

}  // namespace volant
