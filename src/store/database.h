// Database: the metadata of a workspace in one SQLite file. Statements are prepared once and take bound
// values; rows come back whole, so no cursor outlives a lock. Thread safe: one connection, one statement at a
// time. Several processes may open the same file (WAL, busy timeout). The SQL written against it stays
// portable: no SQLite-only types, times are ISO 8601 text, JSON is text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/file.h"

struct sqlite3;

namespace volant {

// Null, integer, real or text.
using SqlValue = std::variant<std::nullptr_t, int64_t, double, std::string>;
SqlValue sql_optional(const std::optional<std::string>& text);

class SqlRow {
 public:
  explicit SqlRow(std::vector<SqlValue> values) : values_(std::move(values)) {}
  bool is_null(size_t column) const;
  int64_t integer(size_t column) const;   // 0 for null
  double real(size_t column) const;       // 0 for null
  std::string text(size_t column) const;  // empty for null
  std::optional<std::string> optional_text(size_t column) const;

 private:
  std::vector<SqlValue> values_;
};

// One step of the schema; `sql` may hold several statements. Applied in order, each in a transaction, once.
struct Migration {
  int version = 0;
  const char* sql = "";
};

class Database {
 public:
  // Creates the file when it is missing.
  // kUnsupported when a newer Volant wrote it; kParse when it is no database.
  static Result<std::unique_ptr<Database>> open(const Path& file, const std::vector<Migration>& migrations);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<std::vector<SqlRow>> query(std::string_view sql, const std::vector<SqlValue>& values = {});
  // The first row, if any.
  Result<std::optional<SqlRow>> query_one(std::string_view sql, const std::vector<SqlValue>& values = {});
  // Gives the number of rows changed.
  // A broken unique constraint is kAlreadyExists, any other constraint kConflict.
  Result<int64_t> execute(std::string_view sql, const std::vector<SqlValue>& values = {});
  // Row id of the last insert on this connection; read it inside the same transaction.
  int64_t last_insert_id() const;
  const Path& file() const { return file_; }

 private:
  friend class Transaction;
  struct Statements;
  Database(sqlite3* connection, Path file);
  Status turn_wal_on();
  Status run_script(std::string_view sql);
  Status migrate(const std::vector<Migration>& migrations);
  Error error_of(int code, std::string_view doing) const;

  sqlite3* connection_ = nullptr;
  Path file_;
  std::unique_ptr<Statements> statements_;
  std::recursive_mutex mutex_;
  int depth_ = 0;  // open transactions of the thread that holds mutex_; only the outermost begins and ends
  bool doomed_ = false;  // one of them was not committed
};

// What survives a power cut. Both survive the end of the process at any moment.
enum class Durability { kRelaxed, kFull };

// BEGIN IMMEDIATE now, ROLLBACK at the end of scope unless commit() was called. Holds the database's lock:
// keep it short. Inside another transaction of the same thread it joins that one.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database, Durability durability = Durability::kFull);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();  // NOLINT(bugprone-exception-escape): only for want of memory, where ending is right
  Status commit();

 private:
  Transaction(Database& database, std::unique_lock<std::recursive_mutex> lock);
  Database* database_;
  std::unique_lock<std::recursive_mutex> lock_;
};

}  // namespace volant
