#include "feedback/screening.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/nearest.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMaxLinks = 5;
constexpr size_t kLongCorrection = 64;  // code points; from here on repetition is judged
constexpr size_t kFewDistinctCharacters = 4;

int count_links(const std::string& text) {
  int links = 0;
  for (size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) ++links;
  return links;
}

Status check_text(const char* field, const std::string& text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return fail(ErrorCode::kLimit, "expected at most {} bytes, got {}", max_bytes, text.size()).at(field);
  }
  if (!is_valid_utf8(text)) return fail(ErrorCode::kInvalidArgument, "expected UTF-8 text").at(field);
  return {};
}

}  // namespace

Status check_feedback(const NewFeedback& feedback) {
  if (feedback.answer_id.empty()) {
    return fail(ErrorCode::kInvalidArgument, "expected the id of an answer, got nothing").at("answer_id");
  }
  if (feedback.answer_id.size() > 128)
    return fail(ErrorCode::kInvalidArgument, "too long for an id").at("answer_id");
  if (!feedback.rating.empty() && feedback.rating != "up" && feedback.rating != "down") {
    return fail(ErrorCode::kInvalidArgument, "expected 'up' or 'down', got '{}'",
                feedback.rating.substr(0, 40))
        .at("rating");
  }
  TRY(check_text("correction", feedback.correction, kMaxCorrectionBytes));
  TRY(check_text("comment", feedback.comment, kMaxCommentBytes));
  if (feedback.rating.empty() && tidy(feedback.correction).empty() && tidy(feedback.comment).empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "expected a rating, a correction or a comment, got none of them");
  }
  return {};
}

std::string reject_reason(const std::string& correction, const std::string& answer) {
  if (tidy(answer) == correction) return "the correction is the answer itself";
  if (count_links(correction) > kMaxLinks)
    return fmt::format("the correction holds more than {} links", kMaxLinks);
  const std::u32string characters = to_code_points(correction);
  if (std::none_of(characters.begin(), characters.end(),
                   [](char32_t c) { return is_letter(c) || (c >= '0' && c <= '9'); })) {
    return "the correction holds no letter and no digit";
  }
  const std::set<char32_t> distinct(characters.begin(), characters.end());
  if (characters.size() >= kLongCorrection && distinct.size() <= kFewDistinctCharacters) {
    return "the correction repeats the same few characters";
  }
  return "";
}

std::string tidy(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r') {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else if (static_cast<unsigned char>(c) >= 0x20 ? c != 0x7f : (c == '\n' || c == '\t')) {
      out += c;
    }
  }
  const size_t begin = out.find_first_not_of(" \t\n");
  if (begin == std::string::npos) return "";
  return out.substr(begin, out.find_last_not_of(" \t\n") - begin + 1);
}

Status check_prediction_correction(const JsonObject& settings, const std::string& correction) {
  if (correction.empty()) return {};
  if (const Json* labels = settings.if_contains("labels"); labels != nullptr && labels->is_array()) {
    std::vector<std::string> known;
    for (const Json& label : labels->as_array())
      if (label.is_string()) known.emplace_back(label.as_string());
    if (std::ranges::find(known, correction) != known.end()) return {};
    return fail(ErrorCode::kInvalidArgument, "expected one of the model's labels ({}), got '{}'{}",
                fmt::join(known.begin(), known.begin() + std::min<std::ptrdiff_t>(std::ssize(known), 20),
                          ", "),
                correction.substr(0, 80), did_you_mean(correction, known))
        .at("correction");
  }
  const Json* problem = settings.if_contains("problem");
  if (problem == nullptr || *problem != Json("regression")) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(correction.data(), correction.data() + correction.size(), value);
  if (error == std::errc() && end == correction.data() + correction.size() && std::isfinite(value)) return {};
  return fail(ErrorCode::kInvalidArgument, "expected a number, got '{}'", correction.substr(0, 80))
      .at("correction");
}

}  // namespace volant
