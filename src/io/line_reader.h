// Lines of a plain, `.gz` or `.zst` file (by its name), one at a time, or all its content. Memory is bounded
// by the longest line allowed, whatever the file decompresses to.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/file.h"

namespace volant {

// Bytes that come piece by piece: of a file, decompressed or not, or of memory.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills the front of `to`; 0 at the end. kParse when compressed data is broken or ends too early.
  virtual Result<size_t> read(std::span<char> to) = 0;
};
// `.gz` and `.zst` by the name of the file, else as it is.
Result<std::unique_ptr<ByteSource>> open_byte_source(const Path& path);

struct LineReaderOptions {
  uint64_t max_line_bytes = 64ULL << 20;
  uint64_t max_total_bytes = 1ULL << 40;  // decompressed
  bool strip_carriage_return = true;      // "\r\n" ends a line as "\n" does
};

class LineReader {
 public:
  static Result<LineReader> open(const Path& path, const LineReaderOptions& options = {});
  // Lines of `text`; errors call it `name`.
  static LineReader from_text(std::string text, std::string name, const LineReaderOptions& options = {});
  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  // The next line without its end, valid until the next call; nothing at the end. A byte order mark before
  // the first line is passed over. A line that is too long is kLimit, and the one after it can be read; after
  // any other error the reader is at its end.
  Result<std::optional<std::string_view>> next();
  // Number, from 1, of the line that next() gave last.
  uint64_t line() const;
  // "file:line", for errors.
  std::string place() const;
  const std::string& name() const;

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The whole content of a plain, `.gz` or `.zst` file, decompressed;
// kLimit when it is longer than `max_bytes`.
Result<std::string> read_content(const Path& path, uint64_t max_bytes = kMaxTextFileBytes);

}  // namespace volant
