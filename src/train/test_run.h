// For tests: runs of the real program, started as a child, stopped, killed and started again.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "io/free_port.h"
#include "io/jsonl.h"
#include "io/process.h"
#include "support/scratch_dir.h"

namespace volant::testing {

class TrainRuns {
 public:
  const Path& folder() const { return scratch_.path(); }
  Path make(const std::string& name, const JsonObject& job) const {
    EXPECT_TRUE(write_file_atomic(scratch_ / name / "job.json", dump_json(job)));
    return scratch_ / name;
  }
  static Process start(const Path& run, const std::map<std::string, std::string>& environment = {}) {
    ProcessOptions options;
    options.environment = environment;
    options.arguments = {(program_dir() / "volant-train").string(), "--job", (run / "job.json").string()};
    options.stderr_file = run / "stderr.txt";
    return Process::start(options).value();
  }
  // As torchrun starts them, on this machine.
  static std::vector<Process> start_ranks(const Path& run, int n) {
    const std::string port = std::to_string(free_port().value());
    std::vector<Process> ranks;
    for (int rank = 0; rank < n; ++rank)
      ranks.push_back(start(run, {{"RANK", std::to_string(rank)},
                                  {"WORLD_SIZE", std::to_string(n)},
                                  {"LOCAL_RANK", std::to_string(rank)},
                                  {"LOCAL_WORLD_SIZE", std::to_string(n)},
                                  {"MASTER_ADDR", "127.0.0.1"},
                                  {"MASTER_PORT", port}}));
    return ranks;
  }
  // The exit status of every rank, -1 for one that a signal ended.
  static std::vector<int> finish(std::vector<Process> ranks) {
    std::vector<int> statuses;
    for (Process& rank : ranks) statuses.push_back(rank.wait().value().status);
    return statuses;
  }
  static ProcessExit finish(const Path& run) { return start(run).wait().value(); }
  static std::string errors(const Path& run) { return read_file(run / "stderr.txt").value_or(""); }

  static std::vector<Json> events(const Path& run) { return read_jsonl(run / "events.jsonl").value(); }
  // type, step and what was computed; times left out.
  static std::vector<std::string> curve(const Path& run) {
    std::vector<std::string> lines;
    for (const Json& event : events(run)) {
      const std::string type = json_string(event, "type").value();
      if (type == "start" || type == "resume" || type == "end") continue;
      std::string line = type;
      for (const char* key :
           {"step", "loss", "lr", "grad_norm", "tokens", "bits_per_byte", "metrics", "best"})
        if (const Json* value = json_find(event, key)) line += " " + dump_json(*value);
      lines.push_back(line);
    }
    return lines;
  }
  // Waits until the run has written `lines` events, then sends the signal.
  static void signal_after(Process& process, const Path& run, int lines, int signal) {
    for (int i = 0; i < 4000; ++i) {
      const auto text = read_file(run / "events.jsonl");
      if (text && std::count(text->begin(), text->end(), '\n') >= lines) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process.send_signal(signal);
  }

  // Whether a run that is killed (SIGKILL) after so many events, several times, gives the curve and the model
  // of one that is not, bit for bit.
  void expect_exact_resume(const JsonObject& job, const std::vector<int>& killed_after) const {
    const Path whole = make("whole", job), broken = make("broken", job);
    ASSERT_EQ(finish(whole).status, 0) << errors(whole);
    for (const int lines : killed_after) {
      Process process = start(broken);
      signal_after(process, broken, lines, SIGKILL);
      (void)process.wait();
    }
    ASSERT_EQ(finish(broken).status, 0) << errors(broken);
    const std::vector<std::string> left = curve(whole), gone_on = curve(broken);
    EXPECT_EQ(gone_on.size(), left.size());
    // The first difference says where it came from; the whole curves would fill pages.
    const auto [a, b] = std::ranges::mismatch(gone_on, left);
    EXPECT_TRUE(a == gone_on.end() && b == left.end())
        << (a == gone_on.end() ? "(nothing)" : *a) << "\n  where the run that was left alone has\n  "
        << (b == left.end() ? "(nothing)" : *b);
    for (const char* file : {"model/model.safetensors", "adapter/adapter_model.safetensors"}) {
      const auto left_alone = read_file(whole / file);
      EXPECT_TRUE(left_alone || file[0] == 'a') << file;  // not every run has an adapter
      if (!left_alone) continue;
      EXPECT_EQ(read_file(broken / file).value(), *left_alone) << file;
    }
  }

 private:
  ScratchDir scratch_;
};

}  // namespace volant::testing
