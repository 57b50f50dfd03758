#include "io/process.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchDir;

ProcessOptions shell(const std::string& script) { return {.arguments = {"sh", "-c", script}}; }

// Waits at most ten seconds for `condition`.
template <class Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(Process, GivesLinesAndStatus) {
  Process process = Process::start(shell("echo one; echo two; printf three; exit 7")).value();
  std::vector<std::string> lines;
  const ProcessExit exit =
      process.wait([&](std::string_view line) { return lines.emplace_back(line), true; }).value();
  EXPECT_THAT(lines, ElementsAre("one", "two", "three"));
  EXPECT_EQ(exit.status, 7);
  EXPECT_EQ(exit.signal, 0);
}

TEST(Process, ArgumentsArePassedAsTheyAre) {
  Process process = Process::start({.arguments = {"printf", "%s|", "a b", "$HOME", "\"'*"}}).value();
  std::string all;
  ASSERT_TRUE(process.wait([&](std::string_view line) { return all += line, true; }));
  EXPECT_EQ(all, "a b|$HOME|\"'*|");
}

TEST(Process, EnvironmentFolderAndStandardError) {
  const ScratchDir scratch;
  ProcessOptions options = shell("echo \"$VOLANT_X\"; pwd; echo problem >&2");
  options.environment = {{"VOLANT_X", "set"}};
  options.working_dir = scratch.path();
  options.stderr_file = scratch / "err";
  Process process = Process::start(options).value();
  std::vector<std::string> lines;
  ASSERT_TRUE(process.wait([&](std::string_view line) { return lines.emplace_back(line), true; }));
  EXPECT_THAT(lines, ElementsAre("set", std::filesystem::canonical(scratch.path()).string()));
  EXPECT_EQ(read_file(scratch / "err").value(), "problem\n");
}

TEST(Process, WhatCannotStartSaysWhy) {
  EXPECT_EQ(Process::start({.arguments = {"no-such-program-anywhere"}}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Process::start({.arguments = {"/no/such/program"}}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Process::start({}).error().code, ErrorCode::kInvalidArgument);
  ProcessOptions options = shell("true");
  options.working_dir = "/no/such/folder";
  EXPECT_THAT(Process::start(options).error().message, HasSubstr("No such file"));
}

TEST(Process, ASignalIsTold) {
  Process process = Process::start(shell("kill -9 $$")).value();
  const ProcessExit exit = process.wait().value();
  EXPECT_EQ(exit.status, -1);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_FALSE(process.wait());
}

TEST(Process, CanBeEndedFromALine) {
  Process process = Process::start(shell("echo ready; exec sleep 100")).value();
  const ProcessExit exit = process
                               .wait([&](std::string_view) {
                                 process.send_signal(SIGTERM);
                                 return false;
                               })
                               .value();
  EXPECT_EQ(exit.signal, SIGTERM);
}

TEST(Process, OutputOverAPipesSizeIsRead) {
  Process process = Process::start(shell("seq 1 100000")).value();
  uint64_t lines = 0, bytes = 0;
  ASSERT_TRUE(process.wait([&](std::string_view line) { return ++lines, bytes += line.size(), true; }));
  EXPECT_EQ(lines, 100'000U);
  EXPECT_EQ(bytes, 488'895U);
}

TEST(Process, DestructionEndsTheChild) {
  int pid = 0;
  {
    const Process process = Process::start(shell("exec sleep 100")).value();
    pid = process.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(Process, OutlivesTheThreadThatStartedIt) {
  Process* started = nullptr;
  std::thread([&] { started = new Process(Process::start(shell("sleep 0.3; echo alive")).value()); }).join();
  const std::unique_ptr<Process> process(started);
  std::string line;
  const ProcessExit exit = process->wait([&](std::string_view text) { return line = text, true; }).value();
  EXPECT_EQ(line, "alive");
  EXPECT_EQ(exit.status, 0);
}

TEST(Process, EndsWhenTheParentIsKilled) {
  const ScratchDir scratch;
  const pid_t parent = ::fork();
  if (parent == 0) {
    const Process process = Process::start(shell("exec sleep 100")).value();
    write_file_atomic(scratch / "pid", std::to_string(process.pid())).value();
    ::pause();
    ::_exit(0);
  }
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(scratch / "pid"); }));
  const int child = std::stoi(read_file(scratch / "pid").value());
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(eventually([&] {
    // gone, or a zombie that the first process has not collected yet
    const std::string status = read_file("/proc/" + std::to_string(child) + "/stat").value_or("");
    return status.empty() || status.find(") Z") != std::string::npos;
  }));
}

TEST(Process, FolderOfTheProgram) { EXPECT_TRUE(std::filesystem::exists(program_dir() / "io_test")); }

}  // namespace
}  // namespace volant
