#include "io/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "base/stop.h"
#include "io/system_error.h"

namespace volant {
namespace {

constexpr size_t kMaxLineBytes = 1 << 20;  // a longer line comes in pieces
constexpr int kPollMs = 200;
constexpr double kTermSeconds = 2;

// The program's file: as given when it has a slash, else looked up on PATH.
Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) != 0) return system_error(name, "run");
    return name;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    if (end > 0 && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return fail(ErrorCode::kNotFound, "expected a program of that name on PATH").at(name);
}

std::vector<std::string> environment_of(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.emplace_back(name).append("=").append(value);
  return all;
}

std::vector<char*> pointers_of(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Launch {
  const char* program;
  const char* working_dir;  // nullptr: ours
  char* const* arguments;
  char* const* environment;
  int out, error_file, report;  // error_file -1: ours
  bool die_with_parent;
  pid_t parent;
};

[[noreturn]] void run_child(const Launch& launch) {
  const auto give_up = [&launch] {
    const int error = errno;
    [[maybe_unused]] const ssize_t n = ::write(launch.report, &error, sizeof error);
    ::_exit(127);
  };
  // A group of its own: Ctrl-C reaches it once, from wait(), and not a second time from the terminal.
  ::setpgid(0, 0);
  if (launch.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != launch.parent) ::_exit(127);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(launch.out, 1) < 0) give_up();
  if (launch.error_file >= 0 && ::dup2(launch.error_file, 2) < 0) give_up();
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (launch.working_dir != nullptr && ::chdir(launch.working_dir) != 0) give_up();
  ::execve(launch.program, launch.arguments, launch.environment);
  give_up();
  ::_exit(127);
}

// Forks on a thread that lives as long as the process: the kernel sends the "parent died" signal when the
// thread that forked ends, and callers may be short-lived threads.
// Gives the child's pid, or minus the errno of what failed.
pid_t fork_child(const Launch& launch) {
  const auto fork_here = [&launch]() -> pid_t {
    const pid_t pid = ::fork();
    if (pid == 0) run_child(launch);
    return pid < 0 ? -errno : pid;
  };
  if (!launch.die_with_parent) return fork_here();
  using Task = std::packaged_task<pid_t()>;
  struct Forker {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Task> tasks;
    Forker() {
      std::thread([this] {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::unique_lock lock(mutex);
        while (true) {
          changed.wait(lock, [this] { return !tasks.empty(); });
          Task task = std::move(tasks.back());
          tasks.pop_back();
          task();
        }
      }).detach();
    }
  };
  // Never destroyed: its thread waits in it until the process ends.
  // A forked copy of us has no such thread yet.
  static std::mutex mutex;
  static Forker* forker = nullptr;
  static pid_t owner = 0;
  {
    const std::lock_guard lock(mutex);
    if (owner != ::getpid()) forker = new Forker;
    owner = ::getpid();
  }
  Task task(fork_here);
  std::future<pid_t> pid = task.get_future();
  {
    const std::lock_guard lock(forker->mutex);
    forker->tasks.push_back(std::move(task));
  }
  forker->changed.notify_one();
  return pid.get();
}

struct Pipe {
  int read_end = -1, write_end = -1;
  ~Pipe() {
    if (read_end >= 0) ::close(read_end);
    if (write_end >= 0) ::close(write_end);
  }
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  void close_write() { ::close(std::exchange(write_end, -1)); }
};

ProcessExit to_exit(int status) {
  if (WIFSIGNALED(status)) return {.status = -1, .signal = WTERMSIG(status)};
  return {.status = WEXITSTATUS(status), .signal = 0};
}

// Gives whole lines of what has come so far to `on_line`; false when it wants no more.
bool give_lines(std::string& pending, bool at_end, const std::function<bool(std::string_view)>& on_line) {
  size_t begin = 0;
  bool more = true;
  while (more && begin < pending.size()) {
    const size_t end = pending.find('\n', begin);
    if (end == std::string::npos && !at_end && pending.size() - begin < kMaxLineBytes) break;
    const size_t stop = std::min(end, pending.size());
    more = on_line(std::string_view(pending).substr(begin, stop - begin));
    begin = std::min(stop + 1, pending.size());
  }
  pending.erase(0, begin);
  return more;
}

}  // namespace

Result<Process> Process::start(const ProcessOptions& options) {
  if (options.arguments.empty()) return fail(ErrorCode::kInvalidArgument, "expected a program to start");
  const std::string program = TRY(find_program(options.arguments[0]));
  const std::vector<std::string> environment = environment_of(options.environment);
  const std::vector<char*> arguments = pointers_of(options.arguments);
  const std::vector<char*> variables = pointers_of(environment);
  Pipe out, report;
  if (!out.open() || !report.open()) return system_error(program, "open a pipe for");
  int error_file = -1;
  if (!options.stderr_file.empty()) {
    error_file = ::open(options.stderr_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (error_file < 0) return system_error(options.stderr_file, "open");
  }
  const Launch launch{.program = program.c_str(),
                      .working_dir = options.working_dir.empty() ? nullptr : options.working_dir.c_str(),
                      .arguments = arguments.data(),
                      .environment = variables.data(),
                      .out = out.write_end,
                      .error_file = error_file,
                      .report = report.write_end,
                      .die_with_parent = options.die_with_parent,
                      .parent = ::getpid()};
  const pid_t pid = fork_child(launch);
  if (error_file >= 0) ::close(error_file);
  if (pid < 0) return system_error(program, "start", -pid);
  out.close_write();
  report.close_write();
  // The report pipe closes at exec; before that it can carry the errno of what failed.
  int error = 0;
  ssize_t n = 0;
  do {
    n = ::read(report.read_end, &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    return system_error(program, "start", error);
  }
  Process process;
  process.pid_ = pid;
  process.stop_signal_ = options.stop_signal;
  process.out_ = std::exchange(out.read_end, -1);
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      stop_signal_(other.stop_signal_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(out_, other.out_);
  std::swap(stop_signal_, other.stop_signal_);
  return *this;
}

Process::~Process() {
  if (out_ >= 0) ::close(out_);
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  for (double waited = 0; waited < kTermSeconds; waited += 0.01) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<ProcessExit> Process::wait(const std::function<bool(std::string_view line)>& on_line) {
  if (pid_ < 0) return fail(ErrorCode::kInvalidArgument, "the process was waited for before");
  std::string pending;
  std::vector<char> piece(64 << 10);
  bool told = false;
  while (out_ >= 0) {
    pollfd waiting{.fd = out_, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, kPollMs);
    if (stop_requested() && !std::exchange(told, true)) send_signal(stop_signal_);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ::read(out_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n > 0 && on_line) pending.append(piece.data(), static_cast<size_t>(n));
    const bool more = !on_line || give_lines(pending, n <= 0, on_line);
    if (n <= 0 || !more) ::close(std::exchange(out_, -1));
  }
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(pid_, &status, told ? 0 : WNOHANG);
    if (ended == pid_) break;
    if (ended < 0 && errno != EINTR) return system_error("process", "wait for it");
    if (stop_requested() && !std::exchange(told, true)) send_signal(stop_signal_);
    if (!told) ::usleep(5'000);
  }
  pid_ = -1;
  return to_exit(status);
}

void Process::send_signal(int number) {
  if (pid_ > 0) ::kill(pid_, number);
}

Path program_dir() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

}  // namespace volant
