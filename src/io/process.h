// A child process: started with an argument list (no shell), its output read by line, waited for or ended.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/file.h"

namespace volant {

struct ProcessOptions {
  std::vector<std::string> arguments = {};  // arguments[0] is the program, a path or a name on PATH
  std::map<std::string, std::string> environment = {};  // added to ours
  Path working_dir = {};                                // ours when empty
  Path stderr_file = {};                                // standard error appended there; ours when empty
  bool die_with_parent = true;                          // the child gets SIGTERM when we die
  int stop_signal = 15;                                 // SIGTERM: what wait() hands on after a stop request
};

struct ProcessExit {
  int status = 0;  // exit status; -1 when a signal ended it
  int signal = 0;
};

class Process {
 public:
  static Result<Process> start(const ProcessOptions& options);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();  // sends SIGTERM, then SIGKILL after two seconds, when it still runs
  int pid() const { return pid_; }
  // Reads standard output by line until it closes or `on_line` says false; then waits for the end.
  Result<ProcessExit> wait(const std::function<bool(std::string_view line)>& on_line = {});
  void send_signal(int number);

 private:
  Process() = default;
  int pid_ = -1;
  int out_ = -1;
  int stop_signal_ = 15;
};

// The folder of the running program (for finding volant-train beside volant).
Path program_dir();

}  // namespace volant
