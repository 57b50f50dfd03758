#include "text/post_processor.h"

#include <algorithm>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMaxDepth = 4;
constexpr size_t kMaxPieces = 64;
constexpr int64_t kMaxId = 4'000'000;
constexpr int64_t kMaxTypeId = 255;
constexpr size_t kMaxWindows = 100'000;

Result<std::vector<int32_t>> read_ids(const Json* list, const std::string& name) {
  if (list == nullptr || !list->is_array() || list->get_array().size() > kMaxPieces)
    return fail(ErrorCode::kParse, "TemplateProcessing names '{}', which special_tokens does not define",
                name);
  std::vector<int32_t> ids;
  for (const Json& id : list->get_array()) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMaxId)
      return fail(ErrorCode::kParse, "expected ids for '{}' in TemplateProcessing", name);
    ids.push_back(static_cast<int32_t>(id.get_int64()));
  }
  return ids;
}

Result<int32_t> type_of(const Json& json) {
  const int64_t type = TRY(json_int_or(json, "type_id", 0));
  if (type < 0 || type > kMaxTypeId)
    return fail(ErrorCode::kParse, "expected a type_id from 0 to {}, got {}", kMaxTypeId, type);
  return static_cast<int32_t>(type);
}

// ["[SEP]", 102]
Result<std::pair<std::string, int32_t>> named_id(const Json& json, std::string_view key) {
  const Json* pair = json_find(json, key);
  if (pair == nullptr || !pair->is_array() || pair->get_array().size() != 2 ||
      !pair->get_array()[0].is_string() || !pair->get_array()[1].is_int64() ||
      pair->get_array()[1].get_int64() < 0 || pair->get_array()[1].get_int64() >= kMaxId)
    return fail(ErrorCode::kParse, "expected '{}' as [token, id]", key);
  return std::pair(std::string(pair->get_array()[0].get_string()),
                   static_cast<int32_t>(pair->get_array()[1].get_int64()));
}

Json special_piece(const std::string& text, int type) {
  return JsonObject{{"SpecialToken", JsonObject{{"id", text}, {"type_id", type}}}};
}
Json sequence_piece(const char* name, int type) {
  return JsonObject{{"Sequence", JsonObject{{"id", name}, {"type_id", type}}}};
}
Json template_json(const JsonArray& single, const JsonArray& pair, const JsonObject& special) {
  return JsonObject{
      {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

void append(Encoding& out, const Encoding& in, int32_t type_id) {
  const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  add(out.ids, in.ids);
  out.type_ids.insert(out.type_ids.end(), in.size(), type_id);
  add(out.attention, in.attention);
  add(out.special, in.special);
  add(out.text_of, in.text_of);
  add(out.offsets, in.offsets);
}

void append_special(Encoding& out, const std::vector<int32_t>& ids, int32_t type_id) {
  for (const int32_t id : ids) {
    out.ids.push_back(id);
    out.type_ids.push_back(type_id);
    out.attention.push_back(1);
    out.special.push_back(1);
    out.text_of.push_back(kOfNoText);
    out.offsets.push_back({});
  }
}

// Characters at the beginning (or end) of a token's text that stand for blanks.
uint32_t count_blanks(std::u32string_view token, bool at_end) {
  constexpr char32_t kByteLevelBlank = 0x120;  // "Ġ"
  uint32_t n = 0;
  for (size_t i = 0; i < token.size(); ++i) {
    const char32_t c = token[at_end ? token.size() - 1 - i : i];
    if (c != kByteLevelBlank && !is_white_space(c)) break;
    ++n;
  }
  return n;
}

}  // namespace

Result<PostProcessor> PostProcessor::parse(const Json& json) {
  PostProcessor out;
  if (json.is_null()) return out;
  if (Status status = out.add(json, 0); !status) return std::move(status).error();
  return out;
}

Status PostProcessor::add(const Json& json, int depth) {
  const std::string type = TRY(json_string(json, "type"));
  if (depth > kMaxDepth || json_.size() > kMaxPieces)
    return fail(ErrorCode::kLimit, "post-processors nest more than {} deep", kMaxDepth);
  if (type == "Sequence") {
    const Json* list = json_find(json, "processors");
    if (list == nullptr || !list->is_array())
      return fail(ErrorCode::kParse, "expected an array 'processors' in a Sequence");
    for (const Json& item : list->get_array())
      if (Status status = add(item, depth + 1); !status) return status;
    return {};
  }
  json_.push_back(json);
  if (type == "ByteLevel") {
    if (TRY(json_bool_or(json, "trim_offsets", true)))
      trim_ = TRY(json_bool_or(json, "add_prefix_space", true));
    return {};
  }
  if (templates_) return fail(ErrorCode::kUnsupported, "two post-processors that put tokens around a text");
  if (type == "TemplateProcessing") return add_template(json);
  if (type == "BertProcessing") return add_bert(json, false);
  if (type != "RobertaProcessing")
    return fail(ErrorCode::kUnsupported, "post-processor '{}' of tokenizer.json", type);
  if (TRY(json_bool_or(json, "trim_offsets", true)))
    trim_ = TRY(json_bool_or(json, "add_prefix_space", true));
  return add_bert(json, true);
}

Status PostProcessor::add_template(const Json& json) {
  const Json* special = json_find(json, "special_tokens");
  Template made[2];
  for (int pair = 0; pair < 2; ++pair) {
    const Json* pieces = json_find(json, pair == 0 ? "single" : "pair");
    if (pieces == nullptr && pair == 1) {  // old files: the pair side by side
      made[1] = {{0, 0, {}}, {1, 1, {}}};
      continue;
    }
    if (pieces == nullptr || !pieces->is_array() || special == nullptr)
      return fail(ErrorCode::kParse, "expected 'single' and 'special_tokens' in TemplateProcessing");
    if (pieces->get_array().size() > kMaxPieces)
      return fail(ErrorCode::kLimit, "expected at most {} pieces in TemplateProcessing", kMaxPieces);
    bool seen[2] = {};
    for (const Json& row : pieces->get_array()) {
      Piece piece;
      if (const Json* sequence = json_find(row, "Sequence"); sequence != nullptr) {
        const std::string name = TRY(json_string(*sequence, "id"));
        piece.text = name == "A" ? 0 : name == "B" ? 1 : -1;
        if (piece.text < 0 || piece.text > pair || std::exchange(seen[piece.text], true))
          return fail(ErrorCode::kUnsupported, "TemplateProcessing with text '{}' there", name);
        piece.type_id = TRY(type_of(*sequence));
      } else {
        const Json* named = json_find(row, "SpecialToken");
        if (named == nullptr)
          return fail(ErrorCode::kParse, "expected Sequence or SpecialToken in TemplateProcessing");
        const std::string name = TRY(json_string(*named, "id"));
        const Json* entry = json_find(*special, name);
        piece.ids = TRY(read_ids(entry == nullptr ? nullptr : json_find(*entry, "ids"), name));
        piece.type_id = TRY(type_of(*named));
      }
      made[pair].push_back(std::move(piece));
    }
    if (!seen[0] || (pair == 1 && !seen[1]))
      return fail(ErrorCode::kParse, "TemplateProcessing leaves out a text");
  }
  templates_ = {std::move(made[0]), std::move(made[1])};
  return {};
}

Status PostProcessor::add_bert(const Json& json, bool roberta) {
  const auto cls = TRY(named_id(json, "cls")), sep = TRY(named_id(json, "sep"));
  const int32_t second = roberta ? 0 : 1;
  Template single{{-1, 0, {cls.second}}, {0, 0, {}}, {-1, 0, {sep.second}}};
  Template pair = single;
  if (roberta) pair.push_back({-1, second, {sep.second}});
  pair.push_back({1, second, {}});
  pair.push_back({-1, second, {sep.second}});
  templates_ = {std::move(single), std::move(pair)};
  return {};
}

PostProcessor PostProcessor::around(const std::vector<int32_t>& prefix, const std::vector<int32_t>& suffix,
                                    const std::function<std::string(int32_t)>& text_of) {
  PostProcessor out;
  if (prefix.empty() && suffix.empty()) return out;
  Template made[2];
  JsonArray json[2];
  JsonObject special;
  for (int pair = 0; pair < 2; ++pair) {
    const auto put = [&](const std::vector<int32_t>& ids, int type) {
      for (const int32_t id : ids) {
        const std::string text = text_of(id);
        made[pair].push_back({-1, type, {id}});
        json[pair].push_back(special_piece(text, type));
        special[text] = JsonObject{{"id", text}, {"ids", JsonArray{id}}, {"tokens", JsonArray{Json(text)}}};
      }
    };
    for (int text = 0; text <= pair; ++text) {
      put(prefix, text);
      made[pair].push_back({text, text, {}});
      json[pair].push_back(sequence_piece(text == 0 ? "A" : "B", text));
      put(suffix, text);
    }
  }
  out.templates_ = {std::move(made[0]), std::move(made[1])};
  out.json_ = {template_json(json[0], json[1], special)};
  return out;
}

PostProcessor PostProcessor::bert(int32_t cls, int32_t sep, const std::string& cls_text,
                                  const std::string& sep_text) {
  PostProcessor out;
  const Template single{{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep}}};
  Template pair = single;
  pair.push_back({1, 1, {}});
  pair.push_back({-1, 1, {sep}});
  out.templates_ = {single, std::move(pair)};
  const JsonArray one{special_piece(cls_text, 0), sequence_piece("A", 0), special_piece(sep_text, 0)};
  JsonArray two = one;
  two.push_back(sequence_piece("B", 1));
  two.push_back(special_piece(sep_text, 1));
  const auto entry = [](const std::string& text, int32_t id) {
    return JsonObject{{"id", text}, {"ids", JsonArray{id}}, {"tokens", JsonArray{Json(text)}}};
  };
  out.json_ = {template_json(one, two, {{cls_text, entry(cls_text, cls)}, {sep_text, entry(sep_text, sep)}})};
  return out;
}

Json PostProcessor::to_json() const {
  if (json_.empty()) return nullptr;
  if (json_.size() == 1) return json_[0];
  return JsonObject{{"type", "Sequence"}, {"processors", JsonArray(json_.begin(), json_.end())}};
}

std::vector<int32_t> PostProcessor::side(bool after) const {
  std::vector<int32_t> ids;
  bool behind = false;
  if (!templates_) return ids;
  for (const Piece& piece : templates_->first) {
    behind = behind || piece.text == 0;
    if (behind == after) ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
  }
  return ids;
}

size_t PostProcessor::n_added(bool pair) const {
  size_t n = 0;
  if (!templates_) return n;
  for (const Piece& piece : pair ? templates_->second : templates_->first) n += piece.ids.size();
  return n;
}

void PostProcessor::trim_offsets(Encoding& encoding,
                                 const std::function<std::string(size_t)>& token_text) const {
  if (!trim_) return;
  for (size_t i = 0; i < encoding.size(); ++i) {
    const std::u32string token = to_code_points(token_text(i));
    uint32_t before = count_blanks(token, false);
    const uint32_t behind = count_blanks(token, true);
    TextSpan& span = encoding.offsets[i];
    if (before > 0) {
      if (*trim_ && (i == 0 || span.begin == 0)) --before;  // the blank that was put in front
      span.begin = std::min(span.begin + before, span.end);
    }
    if (behind > 0 && span.end >= behind) span.end = std::max(span.end - behind, span.begin);
  }
}

Encoding PostProcessor::join_one(const Template& pieces, const Encoding* texts[2], bool add_special) const {
  Encoding out;
  for (const Piece& piece : pieces) {
    if (piece.text >= 0)
      append(out, *texts[piece.text], piece.type_id);
    else if (add_special)
      append_special(out, piece.ids, piece.type_id);
  }
  return out;
}

Encoding PostProcessor::join(const Encoding& first, const Encoding* second, bool add_special) const {
  static const Template kBare[2] = {{{0, 0, {}}}, {{0, 0, {}}, {1, 1, {}}}};
  const bool pair = second != nullptr;
  const Template& pieces = templates_ ? (pair ? templates_->second : templates_->first) : kBare[pair ? 1 : 0];
  const auto joined = [&](const Encoding& a, const Encoding* b) {
    const Encoding* texts[2] = {&a, b};
    return join_one(pieces, texts, add_special);
  };
  Encoding out = joined(first, second);
  const auto add = [&](const Encoding& a, const Encoding* b) {
    if (out.overflow.size() < kMaxWindows) out.overflow.push_back(joined(a, b));
  };
  if (!pair) {
    for (const Encoding& part : first.overflow) add(part, nullptr);
    return out;
  }
  // Every window of one text with every window of the other.
  for (const Encoding& part : first.overflow) {
    add(part, second);
    for (const Encoding& other : second->overflow) add(part, &other);
  }
  for (const Encoding& other : second->overflow) add(first, &other);
  return out;
}

}  // namespace volant
