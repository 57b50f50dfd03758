// Curation: corrections become fine-tuning rows. The latest correction of a prompt wins, how often it was
// given is its weight, personal data is masked, and a share is held out by the digest of the prompt.
#pragma once
#include <string>
#include <vector>

#include "feedback/feedback.h"

namespace volant {

struct CuratedRow {
  JsonArray messages;    // the conversation, then {"role":"assistant","content":correction}
  int64_t weight = 1;    // corrections that asked for this prompt
  std::string rejected;  // what the model had answered
  std::vector<int64_t> feedback_ids;
  std::string digest;  // of the prompt
};
// {"messages":[...],"weight":n}
Json to_training_row(const CuratedRow& row);

struct CuratedSet {
  std::vector<CuratedRow> train, held_out;
  std::vector<int64_t> feedback_ids;                       // all that went in
  int64_t corrections = 0, duplicates = 0, unchanged = 0;  // unchanged: same as the answer
};

// `held_out_share` of the prompts, by digest; at least one row stays for training.
Result<CuratedSet> curate(const std::vector<Feedback>& corrections, double held_out_share);
// Corrections in state "new" (and, with `include_used`, those of earlier improves), oldest first.
Result<std::vector<Feedback>> pending_corrections(Registry& registry, bool include_used = false);
Status mark_used(Registry& registry, const std::vector<int64_t>& feedback_ids);

}  // namespace volant
