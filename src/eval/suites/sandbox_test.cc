#include "eval/suites/sandbox.h"

#include <gmock/gmock.h>

#include "eval/suites/prompts.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ScratchDir;

// The result of a program, or a skipped test where the system permits no namespaces.
#define RUN_OR_SKIP(result, ...)                                                       \
  auto result##_or_error = run_python(__VA_ARGS__);                                    \
  if (!result##_or_error && result##_or_error.error().code == ErrorCode::kUnsupported) \
    GTEST_SKIP() << "needs namespaces: " << result##_or_error.error().to_string();     \
  if (!result##_or_error && result##_or_error.error().code == ErrorCode::kNotFound)    \
    GTEST_SKIP() << "needs python3";                                                   \
  const SandboxResult result = std::move(result##_or_error).value()

TEST(Sandbox, RunsAProgramAndTellsHowItEnded) {
  RUN_OR_SKIP(fine, "import math\nprint(math.pi)\n");
  EXPECT_EQ(fine.status, 0);
  EXPECT_TRUE(fine.isolated);
  EXPECT_THAT(fine.output, HasSubstr("3.14159"));
  const SandboxResult wrong = run_python("assert 1 == 2, 'nope'").value();
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.output, HasSubstr("AssertionError: nope"));
  EXPECT_EQ(run_python("import sys; sys.exit(3)").value().status, 3);
}

TEST(Sandbox, EndlessProgramsAreEnded) {
  RUN_OR_SKIP(spin, "while True: pass", {.wall_seconds = 0.5});
  EXPECT_TRUE(spin.timed_out);
  const SandboxResult sleeper = run_python("import time\ntime.sleep(60)", {.wall_seconds = 0.5}).value();
  EXPECT_TRUE(sleeper.timed_out);
  // A grandchild that holds the output open does not keep us waiting.
  const SandboxResult forks =
      run_python("import os, time\nif os.fork() == 0: time.sleep(60)\n", {.wall_seconds = 5}).value();
  EXPECT_FALSE(forks.timed_out);
}

TEST(Sandbox, HasNoNetwork) {
  RUN_OR_SKIP(result,
              "import socket\n"
              "print(sorted(name for _, name in socket.if_nameindex()))\n"
              "s = socket.socket(); s.settimeout(2)\n"
              "s.connect(('127.0.0.1', 22))\n");
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("['lo']"));
  EXPECT_THAT(result.output, HasSubstr("unreachable"));
}

TEST(Sandbox, WritesOnlyInItsOwnFolder) {
  const ScratchDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms::all);
  RUN_OR_SKIP(inside, "open('x', 'w').write('hello'); print(open('x').read())");
  EXPECT_EQ(inside.output, "hello\n");
  const SandboxResult outside = run_python("open('" + (dir / "x").string() + "', 'w')").value();
  EXPECT_THAT(outside.output, HasSubstr("Read-only file system"));
  EXPECT_FALSE(std::filesystem::exists(dir / "x"));
}

TEST(Sandbox, MemoryFilesProcessesAndOutputAreBounded) {
  RUN_OR_SKIP(memory, "x = bytearray(3 << 30)");
  EXPECT_THAT(memory.output, HasSubstr("MemoryError"));
  EXPECT_NE(run_python("open('big', 'wb').write(bytes(64 << 20))").value().status, 0);
  const SandboxResult forks = run_python(
                                  "import os, time\n"
                                  "for i in range(1000):\n"
                                  "    if os.fork() == 0:\n"
                                  "        time.sleep(20)\n"
                                  "        os._exit(0)\n")
                                  .value();
  EXPECT_THAT(forks.output, HasSubstr("BlockingIOError"));
  const SandboxResult loud = run_python("print('x' * (8 << 20))", {.output_bytes = 1000}).value();
  EXPECT_EQ(loud.output.size(), 1000);
  EXPECT_EQ(loud.status, 0);
}

TEST(Sandbox, SeesNothingOfOurEnvironment) {
  ASSERT_EQ(::setenv("VOLANT_TEST_SECRET", "hunter2", 1), 0);
  RUN_OR_SKIP(result, "import os; print(dict(os.environ), os.getpid())");
  EXPECT_THAT(result.output, Not(HasSubstr("hunter2")));
  EXPECT_THAT(result.output, HasSubstr("} 1\n"));  // a process namespace of its own
}

// Every fourth published solution passes its own test, and an empty body fails it.
TEST(Sandbox, PublishedSolutionsPassAndEmptyOnesFail) {
  VOLANT_DATA_OR_SKIP(data, "datasets/humaneval");
  const Suite suite = load_suite("humaneval:" + (data / "HumanEval.jsonl.gz").string(), 41).value();
  RUN_OR_SKIP(empty, test_program(suite.rows[0], "    pass\n"));
  EXPECT_NE(empty.status, 0);
  for (const SuiteRow& row : suite.rows)
    EXPECT_EQ(run_python(test_program(row, row.references.front())).value().status, 0) << row.id;
}

}  // namespace
}  // namespace volant
