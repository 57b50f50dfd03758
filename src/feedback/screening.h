// Screening: what a piece of feedback must be to be kept,
// and to be learned from. Rules and limits only; no model judges.
#pragma once
#include <cstddef>
#include <string>

#include "feedback/feedback.h"

namespace volant {

inline constexpr size_t kMaxCorrectionBytes = 16 << 10;
inline constexpr size_t kMaxCommentBytes = 8 << 10;
inline constexpr int64_t kMaxFeedbackPerAnswer = 50;

// Errors for what is not stored at all: nothing said, an unknown rating, not UTF-8, too long.
Status check_feedback(const NewFeedback& feedback);
// Why a correction is stored but not learned from ("it is the answer itself", "it holds nothing but links");
// empty when it is fine. `answer` is what the model had said.
std::string reject_reason(const std::string& correction, const std::string& answer);
// Blanks at both ends removed, line ends unified, control characters dropped.
std::string tidy(const std::string& text);

// Of a prediction, whose answer's settings say what there is to predict: a correction is one of the "labels",
// or with the "problem" of a regression a number. kInvalidArgument otherwise.
Status check_prediction_correction(const JsonObject& settings, const std::string& correction);

}  // namespace volant
