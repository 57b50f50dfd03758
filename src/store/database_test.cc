#include "store/database.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <fstream>
#include <thread>

#include "store/schema.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using volant::testing::ScratchDir;

const std::vector<Migration> kOne = {
    {1, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"}};
const std::vector<Migration> kTwo = {kOne[0],
                                     {2, "ALTER TABLE t ADD COLUMN size INTEGER NOT NULL DEFAULT 7;"}};

TEST(Database, KeepsValuesOfEveryKindAsTheyWere) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", {}).value();
  const std::string text = "quote ' and \" and 汉字 and nul " + std::string(1, '\0') + "x";
  const auto row = database->query_one("SELECT ?, ?, ?, ?", {nullptr, int64_t{1} << 40, 2.5, text}).value();
  ASSERT_TRUE(row.has_value());
  EXPECT_TRUE(row->is_null(0));
  EXPECT_EQ(row->integer(1), int64_t{1} << 40);
  EXPECT_EQ(row->real(2), 2.5);
  EXPECT_EQ(row->text(3), text);
}

TEST(Database, MigratesAnOldFileAndKeepsItsRows) {
  const ScratchDir dir;
  {
    auto database = Database::open(dir / "a.db", kOne).value();
    EXPECT_EQ(database->execute("INSERT INTO t (name) VALUES (?)", {"x"}).value(), 1);
  }
  auto database = Database::open(dir / "a.db", kTwo).value();
  EXPECT_EQ(database->query_one("SELECT size FROM t WHERE name = 'x'").value()->integer(0), 7);
}

TEST(Database, RefusesAFileOfANewerSchema) {
  const ScratchDir dir;
  { (void)Database::open(dir / "a.db", kTwo).value(); }
  const auto opened = Database::open(dir / "a.db", kOne);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(opened.error().message, HasSubstr("schema version 2, this Volant knows up to 1"));
}

TEST(Database, SaysThatAFileIsNoDatabase) {
  const ScratchDir dir;
  std::ofstream(dir / "a.db") << std::string(5000, 'x');
  const auto opened = Database::open(dir / "a.db", kOne);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kParse);
  EXPECT_THAT(opened.error().to_string(), HasSubstr("a.db"));
  EXPECT_THAT(opened.error().message, HasSubstr("restore it from a copy"));
}

TEST(Database, SaysThatAFolderIsMissing) {
  const ScratchDir dir;
  const auto opened = Database::open(dir / "no" / "a.db", kOne);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kIo);
}

TEST(Database, TellsUniqueFromOtherConstraints) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", kOne).value();
  (void)database->execute("INSERT INTO t (name) VALUES ('x')").value();
  EXPECT_EQ(database->execute("INSERT INTO t (name) VALUES ('x')").error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(database->execute("INSERT INTO t (name) VALUES (NULL)").error().code, ErrorCode::kConflict);
}

TEST(Database, ReportsAFullDiskAndKeepsTheOldState) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", kOne).value();
  (void)database->execute("INSERT INTO t (name) VALUES ('kept')").value();
  (void)database->query("PRAGMA max_page_count = 8").value();
  const auto full = database->execute("INSERT INTO t (name) VALUES (?)", {std::string(200000, 'y')});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kIo);
  EXPECT_THAT(full.error().message, HasSubstr("free some disk space"));
  EXPECT_EQ(database->query_one("SELECT count(*) FROM t").value()->integer(0), 1);
}

TEST(Transaction, RollsBackUnlessCommitted) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", kOne).value();
  {
    auto transaction = Transaction::begin(*database).value();
    (void)database->execute("INSERT INTO t (name) VALUES ('x')").value();
  }
  EXPECT_EQ(database->query_one("SELECT count(*) FROM t").value()->integer(0), 0);
  {
    auto transaction = Transaction::begin(*database, Durability::kRelaxed).value();
    (void)database->execute("INSERT INTO t (name) VALUES ('x')").value();
    transaction.commit().value();
  }
  EXPECT_EQ(database->query_one("SELECT count(*) FROM t").value()->integer(0), 1);
}

TEST(Transaction, AnInnerOneThatFailsUndoesTheOuterOne) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", kOne).value();
  {
    auto outer = Transaction::begin(*database).value();
    (void)database->execute("INSERT INTO t (name) VALUES ('outer')").value();
    { auto inner = Transaction::begin(*database).value(); }
    EXPECT_EQ(outer.commit().error().code, ErrorCode::kConflict);
  }
  EXPECT_EQ(database->query_one("SELECT count(*) FROM t").value()->integer(0), 0);
}

TEST(Database, ManyOpenersAndWritersLoseNothing) {
  const ScratchDir dir;
  constexpr int kThreads = 6;
  constexpr int kRows = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto database = Database::open(dir / "a.db", workspace_schema()).value();
      for (int i = 0; i < kRows; ++i) {
        auto transaction = Transaction::begin(*database, Durability::kRelaxed).value();
        (void)database
            ->execute("INSERT INTO answers VALUES (?, 'v1', '', '[]', '', '{}')",
                      {fmt::format("{}-{}", t, i)})
            .value();
        transaction.commit().value();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  auto database = Database::open(dir / "a.db", workspace_schema()).value();
  EXPECT_EQ(database->query_one("SELECT count(*) FROM answers").value()->integer(0), kThreads * kRows);
}

TEST(Database, OneConnectionServesManyThreads) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", kOne).value();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        auto transaction = Transaction::begin(*database, Durability::kRelaxed).value();
        (void)database->execute("INSERT INTO t (name) VALUES (?)", {fmt::format("{}-{}", t, i)}).value();
        transaction.commit().value();
        (void)database->query("SELECT name FROM t WHERE name = ?", {fmt::format("{}-{}", t, i)}).value();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(database->query_one("SELECT count(*) FROM t").value()->integer(0), 200);
}

TEST(Schema, RefusesChangesOfKeysThatDoNotExist) {
  const ScratchDir dir;
  auto database = Database::open(dir / "a.db", workspace_schema()).value();
  EXPECT_EQ(database->execute("INSERT INTO aliases VALUES ('production', 9, '')").error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(database->execute("INSERT INTO feedback VALUES (NULL, '', 'nobody', 'up', '', '', 'new', '')")
                .error()
                .code,
            ErrorCode::kConflict);
}

}  // namespace
}  // namespace volant
