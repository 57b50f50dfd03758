#include "io/file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "io/atomic_file.h"
#include "io/lock_file.h"
#include "io/mapped_file.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchDir;

size_t count_entries(const Path& folder) {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

// Runs `body` in a child process; gives its exit status, or minus the signal that ended it.
template <class Body>
int in_child(const Body& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(File, WritesAndReadsBack) {
  const ScratchDir scratch;
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(write_file_atomic(scratch / "deep/er/file", bytes));
  EXPECT_EQ(read_file(scratch / "deep/er/file").value(), bytes);
  EXPECT_EQ(volant::file_size(scratch / "deep/er/file").value(), 4U);
  EXPECT_EQ(count_entries(scratch / "deep/er"), 1U);
}

TEST(File, MissingFileIsNotFoundAndNamed) {
  const Error error = read_file("/no/such/file").error();
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_THAT(error.to_string(), HasSubstr("/no/such/file"));
  EXPECT_EQ(MappedFile::open("/no/such/file").error().code, ErrorCode::kNotFound);
}

TEST(File, FolderIsNotAFile) {
  const ScratchDir scratch;
  EXPECT_EQ(read_file(scratch.path()).error().code, ErrorCode::kIo);
  EXPECT_EQ(MappedFile::open(scratch.path()).error().code, ErrorCode::kIo);
}

TEST(File, LongerThanTheLimitIsRefused) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "f", std::string(100, 'x')));
  EXPECT_EQ(read_file(scratch / "f", 99).error().code, ErrorCode::kLimit);
  EXPECT_EQ(read_file(scratch / "f", 100).value().size(), 100U);
  // /dev/zero has no size to ask for; the limit holds all the same
  EXPECT_EQ(read_file("/dev/zero", 1000).error().code, ErrorCode::kLimit);
}

TEST(File, FilesWithoutASizeAreReadWhole) {
  EXPECT_THAT(read_file("/proc/self/status").value(), HasSubstr("Pid:"));
}

TEST(File, AbandonedAtomicFileLeavesNothing) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "f", "old"));
  {
    AtomicFile file = AtomicFile::create(scratch / "f").value();
    ASSERT_TRUE(file.write("new"));
  }
  EXPECT_EQ(read_file(scratch / "f").value(), "old");
  EXPECT_EQ(count_entries(scratch.path()), 1U);
}

TEST(File, KilledWhileWritingLeavesTheOldContent) {
  const ScratchDir scratch;
  const Path path = scratch / "f";
  ASSERT_TRUE(write_file_atomic(path, "old"));
  const int ended = in_child([&] {
    AtomicFile file = AtomicFile::create(path).value();
    for (int i = 0; i < 100; ++i) {
      if (!file.write(std::string(100'000, 'n'))) return 1;
    }
    ::kill(::getpid(), SIGKILL);
    return 2;
  });
  EXPECT_EQ(ended, -SIGKILL);
  EXPECT_EQ(read_file(path).value(), "old");
}

TEST(File, KilledAtAnyMomentLeavesOldOrNew) {
  const ScratchDir scratch;
  const Path path = scratch / "f";
  const std::string a(300'000, 'a'), b(300'000, 'b');
  ASSERT_TRUE(write_file_atomic(path, a));
  for (int round = 0; round < 10; ++round) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (int i = 0;; ++i) {
        if (!write_file_atomic(path, i % 2 == 0 ? b : a)) ::_exit(1);
      }
    }
    ::usleep(static_cast<unsigned>(3000 + 1700 * round));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    const std::string now = read_file(path).value();
    ASSERT_TRUE(now == a || now == b) << "a mixture of " << now.size() << " bytes";
  }
}

TEST(File, FullDiskIsAnIoErrorAndKeepsTheOldContent) {
  const ScratchDir scratch;
  const Path path = scratch / "f";
  ASSERT_TRUE(write_file_atomic(path, "old"));
  const int ended = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status written = write_file_atomic(path, std::string(1'000'000, 'n'));
    return !written && written.error().code == ErrorCode::kIo ? 0 : 1;
  });
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(read_file(path).value(), "old");
  EXPECT_EQ(count_entries(scratch.path()), 1U);
  const Error full = append_line("/dev/full", "x").error();
  EXPECT_EQ(full.code, ErrorCode::kIo);
  EXPECT_THAT(full.message, HasSubstr("No space left on device"));
}

TEST(File, FolderInTheWayIsAnError) {
  const ScratchDir scratch;
  ASSERT_TRUE(make_dirs(scratch / "f/inside"));
  EXPECT_FALSE(write_file_atomic(scratch / "f", "x"));
  EXPECT_FALSE(write_file_atomic(scratch.path().string() + "/", "x"));
  ASSERT_TRUE(write_file_atomic(scratch / "plain", "x"));
  EXPECT_FALSE(write_file_atomic(scratch / "plain/below", "x"));
}

TEST(File, AppendedLinesFollowEachOther) {
  const ScratchDir scratch;
  ASSERT_TRUE(append_line(scratch / "log", "one"));
  ASSERT_TRUE(append_line(scratch / "log", "two"));
  EXPECT_EQ(read_file(scratch / "log").value(), "one\ntwo\n");
  EXPECT_EQ(append_line(scratch / "log", "a\nb").error().code, ErrorCode::kInvalidArgument);
}

TEST(File, AppendAfterATornLineStartsANewOne) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "log", "one\ntor"));
  ASSERT_TRUE(append_line(scratch / "log", "two"));
  EXPECT_EQ(read_file(scratch / "log").value(), "one\ntor\ntwo\n");
}

TEST(File, GlobFindsWhatAShellFinds) {
  const ScratchDir scratch;
  for (const char* name :
       {"a.txt", "b.txt", "c.md", ".hidden.txt", "d1/e.txt", "d1/d2/f.txt", "d1/d2/g.md", "[x].txt"}) {
    ASSERT_TRUE(write_file_atomic(scratch / name, ""));
  }
  std::filesystem::create_directory_symlink(scratch.path(), scratch / "d1/loop");
  const auto names = [&](const std::string& pattern) {
    std::vector<std::string> found;
    const std::vector<Path> paths = glob((scratch / pattern).string()).value();
    for (const Path& path : paths) {
      found.push_back(path.lexically_relative(scratch.path()).string());
    }
    return found;
  };
  EXPECT_THAT(names("*.txt"), ElementsAre("[x].txt", "a.txt", "b.txt"));
  EXPECT_THAT(names("[ab].*"), ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(names("?.md"), ElementsAre("c.md"));
  EXPECT_THAT(names("**/*.txt"), ElementsAre("[x].txt", "a.txt", "b.txt", "d1/d2/f.txt", "d1/e.txt"));
  EXPECT_THAT(names("d1/**"), ElementsAre("d1/d2/f.txt", "d1/d2/g.md", "d1/e.txt"));
  EXPECT_THAT(names("*/e.txt"), ElementsAre("d1/e.txt"));
  EXPECT_THAT(names("a.txt"), ElementsAre("a.txt"));
  EXPECT_THAT(names(".*.txt"), ElementsAre(".hidden.txt"));
  EXPECT_THAT(names("none*"), ElementsAre());
  EXPECT_THAT(names("nowhere/*.txt"), ElementsAre());
  EXPECT_EQ(glob("").error().code, ErrorCode::kInvalidArgument);
}

TEST(File, DigestOfAFolderDependsOnNamesAndBytesOnly) {
  const ScratchDir one, two;
  for (const ScratchDir* dir : {&one, &two}) {
    ASSERT_TRUE(write_file_atomic(*dir / "b/x", "1"));
    ASSERT_TRUE(write_file_atomic(*dir / "a", "2"));
  }
  const std::string digest = digest_of(one.path()).value();
  EXPECT_EQ(digest.size(), 64U);
  EXPECT_EQ(digest, digest_of(two.path()).value());
  ASSERT_TRUE(write_file_atomic(two / "a", "3"));
  EXPECT_NE(digest, digest_of(two.path()).value());
  std::filesystem::rename(one / "a", one / "c");
  EXPECT_NE(digest, digest_of(one.path()).value());
  ASSERT_TRUE(write_file_atomic(one / "abc", "abc"));
  EXPECT_EQ(digest_of(one / "abc").value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of(one / "none").error().code, ErrorCode::kNotFound);
}

TEST(File, CopyRenameRemove) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "a/b/c", "x"));
  ASSERT_TRUE(copy_all(scratch / "a", scratch / "copy/of"));
  EXPECT_EQ(read_file(scratch / "copy/of/b/c").value(), "x");
  ASSERT_TRUE(rename_into_place(scratch / "a", scratch / "z"));
  EXPECT_EQ(read_file(scratch / "z/b/c").value(), "x");
  EXPECT_EQ(rename_into_place(scratch / "z", scratch / "copy").error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(volant::remove_all(scratch / "z"));
  ASSERT_TRUE(volant::remove_all(scratch / "z"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "z"));
}

TEST(File, PartialPathIsBesideAndNew) {
  const Path a = partial_path("/x/name.gguf"), b = partial_path("/x/name.gguf");
  EXPECT_EQ(a.parent_path(), "/x");
  EXPECT_NE(a, b);
  EXPECT_THAT(a.filename().string(), HasSubstr(".name.gguf.partial-"));
}

TEST(MappedFile, HoldsTheBytesAndMoves) {
  const ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "f", "abc"));
  ASSERT_TRUE(write_file_atomic(scratch / "empty", ""));
  MappedFile file = MappedFile::open(scratch / "f").value();
  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.bytes().size(), 3U);
  EXPECT_EQ(moved.bytes()[2], std::byte{'c'});
  EXPECT_TRUE(MappedFile::open(scratch / "empty").value().bytes().empty());
}

TEST(LockFile, OneHolderAtATime) {
  const ScratchDir scratch;
  {
    const LockFile lock = LockFile::acquire(scratch / "lock").value();
    const Error error = LockFile::acquire(scratch / "lock").error();
    EXPECT_EQ(error.code, ErrorCode::kConflict);
    EXPECT_THAT(error.message, HasSubstr(std::to_string(::getpid())));
  }
  EXPECT_TRUE(LockFile::acquire(scratch / "lock"));
}

TEST(LockFile, FreeAgainWhenTheHolderIsKilled) {
  const ScratchDir scratch;
  EXPECT_EQ(in_child([&] {
              const LockFile lock = LockFile::acquire(scratch / "lock").value();
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            -SIGKILL);
  EXPECT_TRUE(LockFile::acquire(scratch / "lock"));
}

}  // namespace
}  // namespace volant
