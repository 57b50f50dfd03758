#include "base/stop.h"

#include <unistd.h>

#include <csignal>

namespace volant {
namespace {
volatile std::sig_atomic_t stop_flag = 0;
void on_signal(int number) {
  if (stop_flag != 0) _exit(128 + number);
  stop_flag = 1;
}
}  // namespace

void install_stop_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}
bool stop_requested() { return stop_flag != 0; }
void request_stop() { stop_flag = 1; }
}  // namespace volant
