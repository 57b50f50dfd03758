// The `post_processor` of a tokenizer.json: what is put around one text or a pair, and which offsets leave
// out blanks. TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and sequences of them.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/encoding.h"

namespace volant {

class PostProcessor {
 public:
  PostProcessor() = default;  // puts nothing around
  static Result<PostProcessor> parse(const Json& json);
  // PREFIX A SUFFIX, and twice that for a pair. `text_of` gives the text of an id, for to_json().
  static PostProcessor around(const std::vector<int32_t>& prefix, const std::vector<int32_t>& suffix,
                              const std::function<std::string(int32_t)>& text_of);
  // [CLS] A [SEP] B [SEP].
  static PostProcessor bert(int32_t cls, int32_t sep, const std::string& cls_text,
                            const std::string& sep_text);
  Json to_json() const;  // null when nothing is done

  // What stands before and behind a single text. The template of one text holds it once.
  std::vector<int32_t> prefix() const { return side(false); }
  std::vector<int32_t> suffix() const { return side(true); }
  size_t n_added(bool pair) const;
  // Takes the blanks at both ends of tokens out of their offsets. `token_text` gives the text of the i-th: as
  // in the vocabulary, of an added token as it stands in the text.
  void trim_offsets(Encoding& encoding, const std::function<std::string(size_t)>& token_text) const;
  // The texts put together with what stands around them (left out when not `add_special`), and so every part
  // of the overflow. `second` may be null.
  Encoding join(const Encoding& first, const Encoding* second, bool add_special) const;

 private:
  struct Piece {
    int text = -1;  // 0, 1; -1: `ids`
    int32_t type_id = 0;
    std::vector<int32_t> ids;
  };
  using Template = std::vector<Piece>;
  Status add(const Json& json, int depth);
  Status add_template(const Json& json);
  Status add_bert(const Json& json, bool roberta);
  std::vector<int32_t> side(bool after) const;
  Encoding join_one(const Template& pieces, const Encoding* texts[2], bool add_special) const;

  std::optional<std::pair<Template, Template>> templates_;  // of one text, of a pair
  std::optional<bool> trim_;                                // offsets; true: a blank was put in front
  std::vector<Json> json_;
};

}  // namespace volant
