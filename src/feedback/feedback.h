// Feedback: what users said about answers. Screened when it comes in;
// corrections become training rows in curation.h.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct NewFeedback {
  std::string answer_id;
  std::string rating;      // "up", "down" or empty
  std::string correction;  // what the answer should have been; empty: none
  std::string comment;
};

struct Feedback {
  int64_t id = 0;
  std::string created_at, answer_id, rating, correction, comment;
  std::string state;            // "new", "used" (an improve learned from it), "rejected" (screening)
  std::string reason;           // why it was rejected
  std::string version, answer;  // of the answer
  JsonArray messages;           // the conversation before the answer
};
// {"id","created_at","answer_id","version","rating","correction","comment","state","reason","messages","answer"}
Json to_json(const Feedback& feedback);

// Reads {"answer_id","rating","correction","comment"}; kInvalidArgument names the field.
Result<NewFeedback> parse_feedback(const Json& body);
// Stores it and gives it back with its id. kNotFound: no such answer; kInvalidArgument: nothing said, an
// unknown rating; kLimit: too long. The same said twice about one answer is stored once. Personal data is
// masked before it is stored.
Result<Feedback> add_feedback(Registry& registry, const NewFeedback& feedback);
// Newest first.
Result<std::vector<Feedback>> list_feedback(Registry& registry, int64_t limit = 100);

struct FeedbackCounts {
  int64_t total = 0, up = 0, down = 0, corrections = 0, new_corrections = 0;
};
Result<FeedbackCounts> count_feedback(Registry& registry);

}  // namespace volant
