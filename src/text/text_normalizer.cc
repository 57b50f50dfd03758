#include "text/text_normalizer.h"

#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMaxDepth = 4;

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  size_t pos = 0;
  for (size_t found; (found = text.find(pattern, pos)) != std::string_view::npos;
       pos = found + pattern.size()) {
    out.append(text.substr(pos, found - pos));
    out.append(content);
  }
  out.append(text.substr(pos));
  return out;
}

}  // namespace

Result<TextNormalizer> TextNormalizer::parse(const Json& json) {
  TextNormalizer out;
  if (json.is_null()) return out;
  if (Status status = parse_into(json, 0, out.steps_); !status) return std::move(status).error();
  return out;
}

TextNormalizer TextNormalizer::nfc() {
  TextNormalizer out;
  out.steps_.push_back({Kind::kNfc, "", ""});
  return out;
}

Status TextNormalizer::parse_into(const Json& json, int depth, std::vector<Step>& steps) {
  const std::string type = TRY(json_string(json, "type"));
  if (depth > kMaxDepth) return fail(ErrorCode::kLimit, "normalizers nest more than {} deep", kMaxDepth);
  if (type == "Sequence") {
    const Json* list = json_find(json, "normalizers");
    if (list == nullptr || !list->is_array())
      return fail(ErrorCode::kParse, "expected an array 'normalizers' in a Sequence");
    for (const Json& item : list->get_array()) {
      if (Status status = parse_into(item, depth + 1, steps); !status) return status;
    }
    return {};
  }
  if (type == "NFC") {
    steps.push_back({Kind::kNfc, "", ""});
  } else if (type == "NFD") {
    steps.push_back({Kind::kNfd, "", ""});
  } else if (type == "NFKC") {
    steps.push_back({Kind::kNfkc, "", ""});
  } else if (type == "NFKD") {
    steps.push_back({Kind::kNfkd, "", ""});
  } else if (type == "Lowercase") {
    steps.push_back({Kind::kLowercase, "", ""});
  } else if (type == "Prepend") {
    steps.push_back({Kind::kPrepend, "", TRY(json_string(json, "prepend"))});
  } else if (type == "Replace") {
    const Json* pattern = json_find(json, "pattern");
    const Json* text = pattern == nullptr ? nullptr : json_find(*pattern, "String");
    if (text == nullptr || !text->is_string() || text->get_string().empty())
      return fail(ErrorCode::kUnsupported, "normalizer Replace with a pattern that is not a fixed text");
    steps.push_back({Kind::kReplace, std::string(text->get_string()), TRY(json_string(json, "content"))});
  } else {
    return fail(ErrorCode::kUnsupported, "normalizer '{}' of tokenizer.json", type);
  }
  return {};
}

Json TextNormalizer::to_json() const {
  JsonArray list;
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kNfc:
        list.push_back(JsonObject{{"type", "NFC"}});
        break;
      case Kind::kNfd:
        list.push_back(JsonObject{{"type", "NFD"}});
        break;
      case Kind::kNfkc:
        list.push_back(JsonObject{{"type", "NFKC"}});
        break;
      case Kind::kNfkd:
        list.push_back(JsonObject{{"type", "NFKD"}});
        break;
      case Kind::kLowercase:
        list.push_back(JsonObject{{"type", "Lowercase"}});
        break;
      case Kind::kPrepend:
        list.push_back(JsonObject{{"type", "Prepend"}, {"prepend", step.content}});
        break;
      case Kind::kReplace:
        list.push_back(JsonObject{{"type", "Replace"},
                                  {"pattern", JsonObject{{"String", step.pattern}}},
                                  {"content", step.content}});
        break;
    }
  }
  if (list.empty()) return nullptr;
  if (list.size() == 1) return list[0];
  return JsonObject{{"type", "Sequence"}, {"normalizers", list}};
}

std::string TextNormalizer::apply(std::string_view utf8) const {
  std::string text(utf8);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kNfc:
        text = normalize_nfc(text);
        break;
      case Kind::kNfd:
        text = normalize_nfd(text);
        break;
      case Kind::kNfkc:
        text = normalize_nfkc(text);
        break;
      case Kind::kNfkd:
        text = normalize_nfkd(text);
        break;
      case Kind::kLowercase:
        text = to_lower(text);
        break;
      case Kind::kPrepend:
        if (!text.empty()) text = step.content + text;
        break;
      case Kind::kReplace:
        text = replace_all(text, step.pattern, step.content);
        break;
    }
  }
  return text;
}

}  // namespace volant
