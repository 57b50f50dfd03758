// One `volant improve` at a time, as a child process of the server: the server's own threads never train.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/json.h"
#include "wheel/workspace.h"

namespace volant {

class ImproveJob {
 public:
  // `program`: the volant to start; empty: this program.
  ImproveJob(Workspace& workspace, Path program);
  ~ImproveJob();  // ends the child; the next improve goes on from where it was

  // kConflict when one is running.
  Status start();
  // {"state":"idle|running|done|failed","log":[...],"result":{...}}: of ours, or of the last one run by hand.
  Result<Json> status() const;

 private:
  void watch();
  std::vector<std::string> log_tail() const;

  Workspace& workspace_;
  const Path program_;
  const Path log_file_;
  mutable std::mutex mutex_;
  bool running_ = false, stopping_ = false;
  int pid_ = -1;
  std::string failure_;  // of the last one that we started
  std::thread watcher_;
};

}  // namespace volant
