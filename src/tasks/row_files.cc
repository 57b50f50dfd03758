#include "tasks/row_files.h"

#include <charconv>
#include <cmath>

#include "text/charset.h"

namespace volant {
namespace {
constexpr uint64_t kMaxFileBytes = 2ULL << 30;
constexpr size_t kMaxLabelBytes = 200;
}  // namespace

std::vector<RowFiles> take_row_files(Settings& settings, const Path& base) {
  std::vector<RowFiles> out;
  for (const char* part : {"train", "validation", "test"}) {
    std::vector<Path> paths = settings.paths(part, base);
    if (!paths.empty()) out.push_back({part, std::move(paths)});
  }
  if (out.empty() || std::string_view(out[0].part) != "train")
    settings.fails(fail(ErrorCode::kInvalidArgument, "expected 'train' in [data]: the files to learn from"));
  else if (out.size() == 1)
    out[0].part = "all";
  return out;
}

std::vector<Path> all_paths(std::span<const RowFiles> files) {
  std::vector<Path> out;
  for (const RowFiles& part : files) out.insert(out.end(), part.paths.begin(), part.paths.end());
  return out;
}

std::string ending_of(const Path& path) {
  const std::string ending = path.extension().string();
  return ending == ".gz" || ending == ".zst" ? path.stem().extension().string() : ending;
}

Result<CsvReader> open_records(const Path& path, char separator, bool header) {
  const std::string bytes = TRY(read_content(path, kMaxFileBytes));
  Result<DecodedText> decoded = decode_text(bytes);
  if (!decoded) return std::move(decoded).error().at(path.string());
  CsvOptions options;
  options.separator = separator == 0 && is_tsv(path) ? '\t' : separator;
  if (options.separator == '\t') options.quote = 0;
  options.header = header;
  return CsvReader::from_text(std::move(decoded->text), path.string(), options);
}

std::optional<double> parse_number(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  const auto is_digit = [&](size_t at) {
    return at < digits.size() && digits[at] >= '0' && digits[at] <= '9';
  };
  if (!is_digit(0) || (digits[0] == '0' && is_digit(1))) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Json> number_json(std::string_view text) {
  const std::optional<double> value = parse_number(text);
  if (!value) return std::nullopt;
  int64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error == std::errc() && end == text.data() + text.size()) return Json(whole);
  return Json(*value);
}

std::string_view trim_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

Status set_answer(TaskRow& row, bool is_number, std::string_view text) {
  if (is_number) {
    row.target = parse_number(text);
    if (!row.target)
      return fail(ErrorCode::kParse, "expected a number as target, got '{}'", text.substr(0, 100));
    return {};
  }
  if (text.empty() || text.size() > kMaxLabelBytes)
    return fail(ErrorCode::kParse, "expected a label of 1 to {} bytes, got {}", kMaxLabelBytes, text.size());
  row.label = text;
  return {};
}

}  // namespace volant
