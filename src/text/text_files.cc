#include "text/text_files.h"

#include "io/jsonl.h"
#include "text/charset.h"

namespace volant {
namespace {

bool is_rows(const Path& path) {
  const std::string name = path.filename().string();
  for (const char* end : {".jsonl", ".jsonl.zst", ".jsonl.gz"})
    if (name.ends_with(end)) return true;
  return false;
}

// `text`, or what all messages say; empty when a row has neither.
std::string text_of(const Json& row) {
  if (const Json* text = json_find(row, "text"); text != nullptr && text->is_string())
    return std::string(text->get_string());
  std::string out;
  const Json* messages = json_find(row, "messages");
  if (messages == nullptr || !messages->is_array()) return out;
  for (const Json& message : messages->get_array()) {
    const Json* content = json_find(message, "content");
    if (content == nullptr || !content->is_string()) continue;
    if (!out.empty()) out += '\n';
    out += std::string_view(content->get_string());
  }
  return out;
}

}  // namespace

struct TextFiles::State {
  std::vector<Path> files;
  size_t at = 0;
  std::optional<JsonlReader> rows;
};

TextFiles::TextFiles(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextFiles::TextFiles(TextFiles&&) noexcept = default;
TextFiles& TextFiles::operator=(TextFiles&&) noexcept = default;
TextFiles::~TextFiles() = default;

Result<TextFiles> TextFiles::open(const std::vector<std::string>& names) {
  auto state = std::make_unique<State>();
  for (const std::string& name : names) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(name, ignored)) {
      state->files.emplace_back(name);
      continue;
    }
    const std::vector<Path> found = TRY(glob(name));
    if (found.empty() && std::filesystem::is_directory(name, ignored))
      return fail(ErrorCode::kNotFound, "expected files, got a folder: name those in it, as 'FOLDER/*.txt'")
          .at(name);
    if (found.empty()) return fail(ErrorCode::kNotFound, "no such file").at(name);
    state->files.insert(state->files.end(), found.begin(), found.end());
  }
  return TextFiles(std::move(state));
}

size_t TextFiles::n_files() const { return state_->files.size(); }

Result<std::optional<std::string>> TextFiles::next(std::string* language) {
  State& s = *state_;
  if (language != nullptr) language->clear();
  while (true) {
    if (s.rows) {
      const std::optional<Json> row = TRY(s.rows->next());
      if (!row) {
        s.rows.reset();
        continue;
      }
      if (language != nullptr)
        if (const Json* lang = json_find(*row, "lang"); lang != nullptr && lang->is_string())
          *language = lang->get_string();
      std::string text = text_of(*row);
      if (text.empty()) continue;
      return std::optional<std::string>(std::move(text));
    }
    if (s.at == s.files.size()) return std::optional<std::string>();
    const Path& path = s.files[s.at++];
    if (is_rows(path)) {
      s.rows = TRY(JsonlReader::open(path));
      continue;
    }
    const std::string bytes = TRY(read_file(path));
    Result<DecodedText> decoded = decode_text(bytes);
    if (!decoded) return std::move(decoded).error().at(path.string());
    return std::optional<std::string>(std::move(decoded->text));
  }
}

}  // namespace volant
