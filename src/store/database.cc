#include "store/database.h"

#include <sqlite3.h>

#include <chrono>
#include <map>
#include <thread>

namespace volant {
namespace {

constexpr int kBusyTimeoutMs = 10000;
constexpr size_t kMaxCachedStatements = 256;

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CONSTRAINT:
      return sqlite_code == SQLITE_CONSTRAINT_UNIQUE || sqlite_code == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? ErrorCode::kAlreadyExists
                 : ErrorCode::kConflict;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kConflict;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kParse;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return ErrorCode::kIo;
    case SQLITE_TOOBIG:
      return ErrorCode::kLimit;
    default:
      return ErrorCode::kInternal;
  }
}

// What the user can do about it; empty when SQLite's own words say enough.
const char* advice(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another program holds the database, wait for it or end it";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; the file is damaged or not a Volant database, restore it from a copy or remove it";
    case SQLITE_FULL:
      return "; free some disk space and run the command again, nothing was changed";
    case SQLITE_IOERR:
      return "; the disk is full or fails: make room and run the command again, nothing was changed";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return "; check the permissions of the file and its folder";
    default:
      return "";
  }
}

int bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  switch (value.index()) {
    case 0:
      return sqlite3_bind_null(statement, index);
    case 1:
      return sqlite3_bind_int64(statement, index, std::get<int64_t>(value));
    case 2:
      return sqlite3_bind_double(statement, index, std::get<double>(value));
    default: {
      const auto& text = std::get<std::string>(value);
      return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
  }
}

SqlRow read_row(sqlite3_stmt* statement) {
  const int n = sqlite3_column_count(statement);
  std::vector<SqlValue> values;
  values.reserve(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    switch (sqlite3_column_type(statement, i)) {
      case SQLITE_INTEGER:
        values.emplace_back(static_cast<int64_t>(sqlite3_column_int64(statement, i)));
        break;
      case SQLITE_FLOAT:
        values.emplace_back(sqlite3_column_double(statement, i));
        break;
      case SQLITE_NULL:
        values.emplace_back(nullptr);
        break;
      default: {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
        const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, i));
        values.emplace_back(bytes == nullptr ? std::string() : std::string(bytes, size));
      }
    }
  }
  return SqlRow(std::move(values));
}

}  // namespace

SqlValue sql_optional(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  return *text;
}

bool SqlRow::is_null(size_t column) const { return values_.at(column).index() == 0; }

int64_t SqlRow::integer(size_t column) const {
  const auto* value = std::get_if<int64_t>(&values_.at(column));
  return value == nullptr ? 0 : *value;
}

double SqlRow::real(size_t column) const {
  const auto* value = std::get_if<double>(&values_.at(column));
  return value == nullptr ? static_cast<double>(integer(column)) : *value;
}

std::string SqlRow::text(size_t column) const {
  const auto* value = std::get_if<std::string>(&values_.at(column));
  return value == nullptr ? std::string() : *value;
}

std::optional<std::string> SqlRow::optional_text(size_t column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

// Prepared statements by their text. A statement is reset as soon as its rows are read.
struct Database::Statements {
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> cache;
};

Database::Database(sqlite3* connection, Path file)
    : connection_(connection), file_(std::move(file)), statements_(std::make_unique<Statements>()) {}

Database::~Database() {
  statements_.reset();
  sqlite3_close_v2(connection_);
}

Error Database::error_of(int code, std::string_view doing) const {
  return fail(code_of(code), "{}: {}{}", doing, sqlite3_errmsg(connection_), advice(code)).at(file_.string());
}

Result<std::unique_ptr<Database>> Database::open(const Path& file, const std::vector<Migration>& migrations) {
  sqlite3* connection = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(file.c_str(), &connection, flags, nullptr);
  std::unique_ptr<Database> database(new Database(connection, file));
  if (connection == nullptr)
    return fail(ErrorCode::kIo, "out of memory when opening the database").at(file.string());
  if (code != SQLITE_OK) return database->error_of(code, "cannot open the database");
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, 64 << 20);
  TRY(database->turn_wal_on());
  TRY(database->run_script("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"));
  TRY(database->migrate(migrations));
  return database;
}

// The first opener needs the file for itself for a moment. SQLite answers another opener "busy" at once,
// whatever its timeout says, because the change of mode upgrades a lock that others may hold too.
Status Database::turn_wal_on() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
  for (;;) {
    const int code = sqlite3_exec(connection_, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return {};
    const bool busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
    if (!busy || std::chrono::steady_clock::now() > deadline)
      return error_of(code, "cannot use the database");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Status Database::run_script(std::string_view sql) {
  const std::string text(sql);
  const int code = sqlite3_exec(connection_, text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error_of(code, "cannot use the database");
  return {};
}

Status Database::migrate(const std::vector<Migration>& migrations) {
  const auto version = [this]() -> Result<int64_t> {
    const auto row = TRY(query_one("PRAGMA user_version"));
    return row ? row->integer(0) : 0;
  };
  const int64_t newest = migrations.empty() ? 0 : migrations.back().version;
  int64_t have = TRY(version());
  if (have > newest) {
    return fail(ErrorCode::kUnsupported,
                "the database has schema version {}, this Volant knows up to {}; use the newer Volant that "
                "wrote it",
                have, newest)
        .at(file_.string());
  }
  if (have == newest) return {};
  Transaction transaction = TRY(Transaction::begin(*this));
  have = TRY(version());  // somebody else may have migrated while we waited
  for (const Migration& migration : migrations) {
    if (migration.version <= have) continue;
    TRY(run_script(migration.sql));
    TRY(run_script(fmt::format("PRAGMA user_version = {}", migration.version)));
  }
  return transaction.commit();
}

Result<std::vector<SqlRow>> Database::query(std::string_view sql, const std::vector<SqlValue>& values) {
  const std::lock_guard lock(mutex_);
  auto& cache = statements_->cache;
  auto found = cache.find(sql);
  if (found == cache.end()) {
    sqlite3_stmt* prepared = nullptr;
    const int code =
        sqlite3_prepare_v2(connection_, sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
    if (code != SQLITE_OK) return error_of(code, fmt::format("cannot prepare '{}'", sql));
    if (cache.size() >= kMaxCachedStatements) cache.clear();
    found = cache.emplace(std::string(sql), prepared).first;
  }
  sqlite3_stmt* statement = found->second.get();
  const auto reset = [](sqlite3_stmt* used) {
    sqlite3_reset(used);
    sqlite3_clear_bindings(used);
  };
  const std::unique_ptr<sqlite3_stmt, decltype(reset)> at_end(statement, reset);
  if (sqlite3_bind_parameter_count(statement) != static_cast<int>(values.size())) {
    return fail(ErrorCode::kInternal, "'{}' takes {} values, got {}", sql,
                sqlite3_bind_parameter_count(statement), values.size());
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const int code = bind(statement, static_cast<int>(i) + 1, values[i]);
    if (code != SQLITE_OK) return error_of(code, "cannot bind a value");
  }
  std::vector<SqlRow> rows;
  for (;;) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return rows;
    if (code != SQLITE_ROW) return error_of(code, "the database refused");
    rows.push_back(read_row(statement));
  }
}

Result<std::optional<SqlRow>> Database::query_one(std::string_view sql, const std::vector<SqlValue>& values) {
  std::vector<SqlRow> rows = TRY(query(sql, values));
  if (rows.empty()) return std::optional<SqlRow>();
  return std::optional<SqlRow>(std::move(rows.front()));
}

Result<int64_t> Database::execute(std::string_view sql, const std::vector<SqlValue>& values) {
  const std::lock_guard lock(mutex_);
  TRY(query(sql, values));
  return static_cast<int64_t>(sqlite3_changes64(connection_));
}

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(connection_); }

Transaction::Transaction(Database& database, std::unique_lock<std::recursive_mutex> lock)
    : database_(&database), lock_(std::move(lock)) {}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), lock_(std::move(other.lock_)) {}

Result<Transaction> Transaction::begin(Database& database, Durability durability) {
  std::unique_lock lock(database.mutex_);
  if (database.depth_ == 0) {
    TRY(database.query(durability == Durability::kFull ? "PRAGMA synchronous = FULL"
                                                       : "PRAGMA synchronous = NORMAL"));
    TRY(database.query("BEGIN IMMEDIATE"));
    database.doomed_ = false;
  }
  ++database.depth_;
  return Transaction(database, std::move(lock));
}

// NOLINTNEXTLINE(bugprone-exception-escape): only for want of memory, where ending is right
Transaction::~Transaction() {
  if (database_ == nullptr) return;
  database_->doomed_ = true;  // an inner transaction that fails takes the outer one with it
  if (--database_->depth_ == 0) (void)database_->query("ROLLBACK");
}

Status Transaction::commit() {
  CHECK(database_ != nullptr);
  Database& database = *database_;
  if (database.depth_ == 1) {
    if (database.doomed_)
      return fail(ErrorCode::kConflict, "a part of this change failed, so all of it is undone");
    TRY(database.query("COMMIT"));
    TRY(database.query("PRAGMA synchronous = FULL"));
  }
  --database.depth_;
  database_ = nullptr;
  lock_.unlock();
  return {};
}

}  // namespace volant
