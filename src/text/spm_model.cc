#include "text/spm_model.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_set>

#include "text/character_map.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxPieces = 4'000'000;
constexpr size_t kMaxPieceBytes = 4096;

// Protocol buffer wire format (protobuf.dev/programming-guides/encoding): reader with bounds.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  struct Field {
    uint32_t number = 0;
    uint64_t value = 0;      // varint and fixed fields
    std::string_view bytes;  // length-delimited fields
  };
  bool at_end() const { return pos_ == bytes_.size(); }
  // The next field; nothing when the bytes are broken.
  std::optional<Field> next() {
    const auto tag = varint();
    if (!tag || *tag >> 3 == 0 || *tag >> 3 > std::numeric_limits<uint32_t>::max()) return std::nullopt;
    Field field;
    field.number = static_cast<uint32_t>(*tag >> 3);
    switch (*tag & 7) {
      case 0: {
        const auto value = varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case 1:
        return fixed(field, 8);
      case 2: {
        const auto size = varint();
        if (!size || *size > bytes_.size() - pos_) return std::nullopt;
        field.bytes = bytes_.substr(pos_, *size);
        pos_ += *size;
        return field;
      }
      case 5:
        return fixed(field, 4);
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && pos_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[pos_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }
  std::optional<Field> fixed(Field field, size_t size) {
    if (bytes_.size() - pos_ < size) return std::nullopt;
    std::memcpy(&field.value, bytes_.data() + pos_, size);  // little endian, as this machine
    pos_ += size;
    return field;
  }
  std::string_view bytes_;
  size_t pos_ = 0;
};

class WireWriter {
 public:
  void varint(uint32_t field, uint64_t value) {
    raw(field << 3);
    raw(value);
  }
  void number(uint32_t field, float value) {
    raw(field << 3 | 5);
    char bytes[4];
    std::memcpy(bytes, &value, 4);
    out_.append(bytes, 4);
  }
  void bytes(uint32_t field, std::string_view value) {
    raw(field << 3 | 2);
    raw(value.size());
    out_.append(value);
  }
  std::string take() { return std::move(out_); }

 private:
  void raw(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  std::string out_;
};

Error broken(std::string_view what) {
  return fail(ErrorCode::kParse, "not a SentencePiece model: {} is cut off or broken", what);
}

Status read_piece(std::string_view bytes, SpmModel& model) {
  if (model.pieces.size() == kMaxPieces) return fail(ErrorCode::kLimit, "more than {} pieces", kMaxPieces);
  SpmPiece piece;
  for (WireReader reader(bytes); !reader.at_end();) {
    const auto field = reader.next();
    if (!field) return broken("a piece");
    if (field->number == 1) piece.text = field->bytes;
    if (field->number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    if (field->number == 3) {
      if (field->value < 1 || field->value > 6)
        return fail(ErrorCode::kParse, "piece {} has type {}, expected 1 to 6", model.pieces.size(),
                    field->value);
      piece.type = static_cast<PieceType>(field->value);
    }
  }
  model.pieces.push_back(std::move(piece));
  return {};
}

Status read_trainer(std::string_view bytes, SpmModel& model) {
  for (WireReader reader(bytes); !reader.at_end();) {
    const auto field = reader.next();
    if (!field) return broken("trainer_spec");
    switch (field->number) {
      case 3:
        if (field->value < 1 || field->value > 4)
          return fail(ErrorCode::kParse, "model_type is {}, expected 1 to 4", field->value);
        model.kind = static_cast<SpmModel::Kind>(field->value);
        break;
      case 24:
        model.treat_whitespace_as_suffix = field->value != 0;
        break;
      case 35:
        model.byte_fallback = field->value != 0;
        break;
      case 45:
        model.unk_piece = field->bytes;
        break;
      case 46:
        model.bos_piece = field->bytes;
        break;
      case 47:
        model.eos_piece = field->bytes;
        break;
      case 48:
        model.pad_piece = field->bytes;
        break;
      default:
        break;
    }
  }
  return {};
}

Status read_normalizer(std::string_view bytes, SpmModel& model) {
  for (WireReader reader(bytes); !reader.at_end();) {
    const auto field = reader.next();
    if (!field) return broken("normalizer_spec");
    switch (field->number) {
      case 1:
        model.normalizer_name = field->bytes;
        break;
      case 2:
        model.precompiled_charsmap = field->bytes;
        break;
      case 3:
        model.add_dummy_prefix = field->value != 0;
        break;
      case 4:
        model.remove_extra_whitespaces = field->value != 0;
        break;
      case 5:
        model.escape_whitespaces = field->value != 0;
        break;
      default:
        break;
    }
  }
  return {};
}

}  // namespace

int byte_piece_value(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

Status check_spm_model(const SpmModel& model) {
  if (model.pieces.empty()) return fail(ErrorCode::kParse, "not a SentencePiece model: it has no pieces");
  if (model.pieces.size() > kMaxPieces)
    return fail(ErrorCode::kLimit, "{} pieces, expected at most {}", model.pieces.size(), kMaxPieces);
  std::unordered_set<std::string_view> seen;
  seen.reserve(model.pieces.size());
  size_t n_unknown = 0, n_bytes = 0, n_normal = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SpmPiece& piece = model.pieces[id];
    if (piece.text.empty() || piece.text.size() > kMaxPieceBytes || !is_valid_utf8(piece.text) ||
        piece.text.find('\0') != std::string::npos)
      return fail(ErrorCode::kParse, "piece {} is no text: expected 1 to {} bytes of UTF-8 without NUL", id,
                  kMaxPieceBytes);
    if (!std::isfinite(piece.score)) return fail(ErrorCode::kParse, "piece {} has no finite score", id);
    if (!seen.insert(piece.text).second)
      return fail(ErrorCode::kParse, "piece {} '{}' occurs twice", id, piece.text);
    if (piece.type == PieceType::kByte && byte_piece_value(piece.text) < 0)
      return fail(ErrorCode::kParse, "byte piece {} is called '{}', expected <0x00> to <0xFF>", id,
                  piece.text);
    n_unknown += piece.type == PieceType::kUnknown ? 1U : 0U;
    n_bytes += piece.type == PieceType::kByte ? 1U : 0U;
    n_normal += piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined ? 1U : 0U;
  }
  if (n_unknown != 1) return fail(ErrorCode::kParse, "expected one unknown piece, got {}", n_unknown);
  if (n_normal == 0) return fail(ErrorCode::kParse, "the model has no normal piece");
  if (model.byte_fallback ? n_bytes != 256 : n_bytes != 0)
    return fail(ErrorCode::kParse, "expected {} byte pieces, got {}", model.byte_fallback ? 256 : 0, n_bytes);
  if (auto map = CharacterMap::parse(model.precompiled_charsmap); !map) return std::move(map).error();
  return {};
}

Result<SpmModel> parse_spm_model(std::string_view bytes) {
  SpmModel model;
  model.normalizer_name.clear();
  for (WireReader reader(bytes); !reader.at_end();) {
    const auto field = reader.next();
    if (!field) return broken("the file");
    Status status;
    if (field->number == 1) status = read_piece(field->bytes, model);
    if (field->number == 2) status = read_trainer(field->bytes, model);
    if (field->number == 3) status = read_normalizer(field->bytes, model);
    if (!status) return std::move(status).error();
  }
  if (Status status = check_spm_model(model); !status) return std::move(status).error();
  return model;
}

std::string serialize_spm_model(const SpmModel& model) {
  WireWriter out;
  for (const SpmPiece& piece : model.pieces) {
    WireWriter row;
    row.bytes(1, piece.text);
    row.number(2, piece.score);
    if (piece.type != PieceType::kNormal) row.varint(3, static_cast<uint64_t>(piece.type));
    out.bytes(1, row.take());
  }
  const auto id_of = [&model](std::string_view text) -> uint64_t {
    for (size_t id = 0; id < model.pieces.size(); ++id)
      if (model.pieces[id].text == text) return id;
    return ~0ULL;  // -1: there is none
  };
  WireWriter trainer;
  trainer.varint(3, static_cast<uint64_t>(model.kind));
  trainer.varint(4, model.pieces.size());
  if (model.treat_whitespace_as_suffix) trainer.varint(24, 1);
  trainer.varint(35, model.byte_fallback ? 1 : 0);
  trainer.varint(40, id_of(model.unk_piece));
  trainer.varint(41, id_of(model.bos_piece));
  trainer.varint(42, id_of(model.eos_piece));
  trainer.varint(43, id_of(model.pad_piece));
  trainer.bytes(45, model.unk_piece);
  trainer.bytes(46, model.bos_piece);
  trainer.bytes(47, model.eos_piece);
  trainer.bytes(48, model.pad_piece);
  out.bytes(2, trainer.take());
  WireWriter normalizer;
  normalizer.bytes(1, model.normalizer_name);
  normalizer.bytes(2, model.precompiled_charsmap);
  normalizer.varint(3, model.add_dummy_prefix ? 1 : 0);
  normalizer.varint(4, model.remove_extra_whitespaces ? 1 : 0);
  normalizer.varint(5, model.escape_whitespaces ? 1 : 0);
  out.bytes(3, normalizer.take());
  return out.take();
}

}  // namespace volant
