#include "data/token_shard.h"

#include <cstring>
#include <fstream>

namespace volant {
namespace {

constexpr char kMagic[9] = "VOLTOK01";
constexpr uint64_t kHeaderBytes = 24;  // magic, width, number of documents
constexpr int32_t kMaxNarrowVocab = 65536;

Path with_ending(const Path& path, const char* ending) { return Path(path.string() + ending); }

// Little-endian, whatever the machine is.
void append_le(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

uint64_t read_le(const std::byte* bytes, int width) {
  uint64_t value = 0;
  for (int i = 0; i < width; ++i) value |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

}  // namespace

Result<TokenShard> TokenShard::open(const Path& path) {
  const Path index_path = with_ending(path, ".idx");
  const Path ids_path = with_ending(path, ".bin");
  const MappedFile index = TRY(MappedFile::open(index_path));
  const std::span<const std::byte> bytes = index.bytes();
  const auto bad = [&](std::string why) {
    return Error{ErrorCode::kParse, std::move(why) + "; write the shard again", index_path.string()};
  };
  if (bytes.size() < kHeaderBytes + 8 || std::memcmp(bytes.data(), kMagic, 8) != 0) {
    return bad("expected the index of a token shard (VOLTOK01)");
  }
  const uint64_t width = read_le(bytes.data() + 8, 8);
  const uint64_t n_documents = read_le(bytes.data() + 16, 8);
  if (width != 2 && width != 4) return bad(fmt::format("expected ids of 2 or 4 bytes, got {}", width));
  if ((bytes.size() - kHeaderBytes) % 8 != 0 || n_documents != (bytes.size() - kHeaderBytes) / 8 - 1) {
    return bad(fmt::format("expected {} offsets after the header, got {} bytes", n_documents + 1,
                           bytes.size() - kHeaderBytes));
  }

  TokenShard shard;
  shard.width_ = static_cast<int>(width);
  shard.offsets_.resize(n_documents + 1);
  for (uint64_t i = 0; i <= n_documents; ++i) {
    shard.offsets_[i] = read_le(bytes.data() + kHeaderBytes + 8 * i, 8);
    if (shard.offsets_[i] < (i == 0 ? 0 : shard.offsets_[i - 1])) {
      return bad(fmt::format("offset of document {} goes back", i));
    }
  }
  if (shard.offsets_.front() != 0) return bad("expected the first document at offset 0");
  const uint64_t n_bytes = TRY(volant::file_size(ids_path));
  if (n_bytes % width != 0 || n_bytes / width != shard.offsets_.back()) {
    return bad(fmt::format("expected {} ids of {} bytes in {}, got {} bytes", shard.offsets_.back(), width,
                           ids_path.filename().string(), n_bytes));
  }
  if (n_bytes > 0) shard.ids_ = TRY(MappedFile::open(ids_path));
  return shard;
}

std::vector<int32_t> TokenShard::document(uint64_t document) const {
  CHECK(document < n_documents());
  std::vector<int32_t> ids(document_tokens(document));
  const std::byte* at = ids_.bytes().data() + offsets_[document] * static_cast<uint64_t>(width_);
  for (int32_t& id : ids) {
    id = static_cast<int32_t>(read_le(at, width_));
    at += width_;
  }
  return ids;
}

struct TokenShardWriter::State {
  Path ids_path, index_path, ids_partial, index_partial;
  std::ofstream ids;
  std::vector<uint64_t> offsets{0};
  int width = 2;
  int32_t n_vocab = 0;
  std::string buffer;

  ~State() {
    if (ids.is_open()) ids.close();
    std::error_code ignored;
    if (!ids_partial.empty()) std::filesystem::remove(ids_partial, ignored);
    if (!index_partial.empty()) std::filesystem::remove(index_partial, ignored);
  }
};

TokenShardWriter::TokenShardWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenShardWriter::TokenShardWriter(TokenShardWriter&&) noexcept = default;
TokenShardWriter& TokenShardWriter::operator=(TokenShardWriter&&) noexcept = default;
TokenShardWriter::~TokenShardWriter() = default;

Result<TokenShardWriter> TokenShardWriter::create(const Path& path, int32_t n_vocab) {
  if (n_vocab <= 0)
    return fail(ErrorCode::kInvalidArgument, "expected a vocabulary size above 0, got {}", n_vocab);
  if (path.has_parent_path()) TRY(make_dirs(path.parent_path()));
  auto state = std::make_unique<State>();
  state->ids_path = with_ending(path, ".bin");
  state->index_path = with_ending(path, ".idx");
  state->ids_partial = partial_path(state->ids_path);
  state->index_partial = partial_path(state->index_path);
  state->width = n_vocab <= kMaxNarrowVocab ? 2 : 4;
  state->n_vocab = n_vocab;
  state->ids.open(state->ids_partial, std::ios::binary | std::ios::trunc);
  if (!state->ids) return fail(ErrorCode::kIo, "cannot create the file").at(state->ids_partial.string());
  return TokenShardWriter(std::move(state));
}

Status TokenShardWriter::add(std::span<const int32_t> ids) {
  State& s = *state_;
  s.buffer.clear();
  for (const int32_t id : ids) {
    if (id < 0 || id >= s.n_vocab) {
      return fail(ErrorCode::kInvalidArgument, "expected ids from 0 to {}, got {}", s.n_vocab - 1, id)
          .at(s.ids_path.string());
    }
    append_le(s.buffer, static_cast<uint64_t>(id), s.width);
  }
  s.ids.write(s.buffer.data(), static_cast<std::streamsize>(s.buffer.size()));
  if (!s.ids) return fail(ErrorCode::kIo, "cannot write; is the disk full?").at(s.ids_path.string());
  s.offsets.push_back(s.offsets.back() + ids.size());
  return {};
}

Status TokenShardWriter::finish() {
  State& s = *state_;
  s.ids.close();
  if (!s.ids) return fail(ErrorCode::kIo, "cannot write; is the disk full?").at(s.ids_path.string());
  std::string index(kMagic, 8);
  append_le(index, static_cast<uint64_t>(s.width), 8);
  append_le(index, s.offsets.size() - 1, 8);
  for (const uint64_t offset : s.offsets) append_le(index, offset, 8);
  // The ids first: an index without its ids would be the half of a shard.
  TRY(rename_into_place(s.ids_partial, s.ids_path));
  return write_file_atomic(s.index_path, index);
}

Status write_token_shard(const Path& path, const std::vector<std::vector<int32_t>>& documents,
                         int32_t n_vocab) {
  TokenShardWriter writer = TRY(TokenShardWriter::create(path, n_vocab));
  for (const std::vector<int32_t>& document : documents) {
    TRY(writer.add(document));
  }
  return writer.finish();
}

}  // namespace volant
