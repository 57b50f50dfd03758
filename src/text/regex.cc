#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
constexpr uint32_t kMatchLimit = 2'000'000;
constexpr uint32_t kHeapLimitKb = 16384;

// PCRE2's \s holds U+180E, which is no White_Space since Unicode 6.3; spell the class out instead.
constexpr std::string_view kBlank =
    R"(\t-\r\x{85}\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// And its \w is L, N and "_"; Unicode's (and Oniguruma's) are alphabetic characters, marks, digits,
// connectors.
constexpr std::string_view kWord =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";

std::string spelled_class(std::string_view members, bool in_class, bool negated) {
  if (in_class) return std::string(members);
  return (negated ? "[^" : "[") + std::string(members) + "]";
}

Result<std::string> spell_out_classes(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's' || next == 'w') {
        out += spelled_class(next == 's' ? kBlank : kWord, in_class, false);
      } else if (next == 'S' || next == 'W') {
        if (in_class)
          return fail(ErrorCode::kUnsupported, "\\{} inside a class of a pre-tokeniser's pattern", next);
        out += spelled_class(next == 'S' ? kBlank : kWord, false, true);
      } else {
        out += c;
        out += next;
      }
      continue;
    }
    if (c == '[') {
      if (in_class && i + 1 < pattern.size() && pattern[i + 1] != ':')
        return fail(ErrorCode::kUnsupported, "a class inside a class of a pre-tokeniser's pattern");
      in_class = true;
    }
    if (c == '&' && in_class && i + 1 < pattern.size() && pattern[i + 1] == '&')
      return fail(ErrorCode::kUnsupported, "an intersection (&&) in a class of a pre-tokeniser's pattern");
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

Regex::Regex(std::string pattern, std::unique_ptr<Code> code)
    : pattern_(std::move(pattern)), code_(std::move(code)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return fail(ErrorCode::kLimit, "expected a pattern of at most {} bytes, got {}", kMaxPatternBytes,
                pattern.size());
  if (!is_valid_utf8(pattern)) return fail(ErrorCode::kParse, "expected a pattern in UTF-8");
  const std::string spelled = TRY(spell_out_classes(pattern));
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto made = std::make_unique<Code>();
  made->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (made->code == nullptr) {
    unsigned char message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return fail(ErrorCode::kParse, "cannot compile the pattern '{}': {}", pattern,
                reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE);  // slower without, never wrong
  made->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(made->context, kMatchLimit);
  pcre2_set_heap_limit(made->context, kHeapLimitKb);
  return Regex(std::string(pattern), std::move(made));
}

std::pair<size_t, size_t> Regex::find(std::string_view utf8, size_t pos) const {
  thread_local const std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(
      pcre2_match_data_create(16, nullptr));
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(utf8.data());
  while (pos < utf8.size()) {
    int n = pcre2_match(code_->code, subject, utf8.size(), pos, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                        data.get(), code_->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
      n = pcre2_match(code_->code, subject, utf8.size(), pos,
                      PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | PCRE2_NO_JIT, data.get(), code_->context);
    if (n < 0) break;
    const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data.get());
    if (found[1] > found[0] && found[0] >= pos) return {found[0], found[1]};
    next_code_point(utf8, pos);  // a pattern with \K may do this
  }
  return {std::string_view::npos, std::string_view::npos};
}

}  // namespace volant
