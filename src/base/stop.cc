#include "base/stop.h"

#include <semaphore.h>
#include <unistd.h>

#include <csignal>

namespace volant {
namespace {
volatile std::sig_atomic_t stop_flag = 0;
sem_t stop_came;  // zeroed: a semaphore of 0 on Linux, before install_stop_handler() makes it one

void on_signal(int number) {
  if (stop_flag != 0) _exit(128 + number);
  request_stop();
}
}  // namespace

void install_stop_handler() {
  sem_init(&stop_came, 0, 0);
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}
bool stop_requested() { return stop_flag != 0; }
void wait_for_stop() {
  while (stop_flag == 0) sem_wait(&stop_came);
}
void request_stop() {  // also called by signal handlers
  stop_flag = 1;
  sem_post(&stop_came);
}
}  // namespace volant
