#include "eval/suites/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/random.h"
#include "base/stop.h"
#include "io/file.h"

namespace volant {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kMaxOpenFiles = 64;
constexpr const char* kPython = "/usr/bin/python3";

// What the child told before it became the program: where it failed.
struct Trouble {
  int step, error;
};
constexpr std::array kSteps{"map its user", "make files read-only", "set its limits", "give up its rights",
                            "start python3"};

// Everything the child needs, made before it is: after that only async-signal-safe calls are allowed.
struct Plan {
  const char* folder;
  int out, report;
  bool isolate, as_root;
  const char *uid_map, *gid_map;
  char* const* arguments;
  char* const* environment;
  const SandboxOptions* options;
};

bool write_text(const char* path, const char* text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const auto size = static_cast<ssize_t>(std::strlen(text));
  const bool done = ::write(file, text, static_cast<size_t>(size)) == size;
  ::close(file);
  return done;
}

// An ordinary user becomes root of a user namespace that maps itself alone.
bool map_user(const Plan& plan) {
  if (plan.as_root) return true;
  return write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", plan.uid_map) &&
         write_text("/proc/self/gid_map", plan.gid_map);
}

bool make_files_read_only(const char* folder) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mount(folder, folder, nullptr, MS_BIND, nullptr) != 0) return false;
  mount_attr fixed{};
  fixed.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &fixed, sizeof fixed) != 0) return false;
  mount_attr open{};
  open.attr_clr = MOUNT_ATTR_RDONLY;
  return ::syscall(SYS_mount_setattr, AT_FDCWD, folder, 0, &open, sizeof open) == 0;
}

bool limit(int what, uint64_t most) {
  const rlimit both{.rlim_cur = most, .rlim_max = most};
  return ::setrlimit(static_cast<__rlimit_resource>(what), &both) == 0;
}

bool set_limits(const SandboxOptions& options) {
  return limit(RLIMIT_AS, options.memory_bytes) &&
         limit(RLIMIT_CPU, static_cast<uint64_t>(options.cpu_seconds)) &&
         limit(RLIMIT_FSIZE, options.file_bytes) && limit(RLIMIT_NOFILE, kMaxOpenFiles) &&
         limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, static_cast<uint64_t>(options.max_processes));
}

bool give_up_rights(const Plan& plan) {
  if (plan.as_root && (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
                       ::setresuid(kNobody, kNobody, kNobody) != 0))
    return false;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user clears it
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

[[noreturn]] void run_child(const Plan& plan) {
  const auto give_up = [&plan](int step) {
    const Trouble trouble{step, errno};
    [[maybe_unused]] const ssize_t n = ::write(plan.report, &trouble, sizeof trouble);
    ::_exit(127);
  };
  ::setpgid(0, 0);

  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (plan.isolate && !map_user(plan)) give_up(0);
  if (plan.isolate && !make_files_read_only(plan.folder)) give_up(1);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(plan.out, 1) < 0 || ::dup2(plan.out, 2) < 0) give_up(2);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (::chdir(plan.folder) != 0 || !set_limits(*plan.options)) give_up(2);
  if (!give_up_rights(plan)) give_up(3);
  ::execve(kPython, plan.arguments, plan.environment);
  give_up(4);
  ::_exit(127);
}

// A folder that goes away.
class Folder {
 public:
  static Result<Folder> create() {
    Path path = std::filesystem::temp_directory_path() / ("volant-sandbox-" + secure_random_hex(8));
    TRY(make_dirs(path));
    std::error_code error;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    return Folder(std::move(path));
  }
  Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Folder& operator=(Folder&&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const Path& path() const { return path_; }

 private:
  explicit Folder(Path path) : path_(std::move(path)) {}
  Path path_;
};

// Reads what the child prints until it ends or its time is over; then nothing of it is left.
SandboxResult watch(pid_t child, int out, const SandboxOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration<double>(options.wall_seconds);
  SandboxResult result;
  std::array<char, 4096> piece;
  int status = 0;
  bool open = true, ended = false;
  while (!ended) {
    pollfd waiting{.fd = open ? out : -1, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 10) > 0) {
      const ssize_t n = ::read(out, piece.data(), piece.size());
      if (n <= 0) open = n < 0 && errno == EINTR;
      const size_t space = options.output_bytes - std::min(options.output_bytes, result.output.size());
      if (n > 0) result.output.append(piece.data(), std::min(static_cast<size_t>(n), space));
    }
    ended = ::waitpid(child, &status, WNOHANG) == child;
    if (ended || (Clock::now() < deadline && !stop_requested())) continue;
    result.timed_out = true;
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);
    ended = ::waitpid(child, &status, 0) == child;
  }
  // What the program left running outside of a process namespace goes with its group.
  ::kill(-child, SIGKILL);
  while (open) {
    pollfd rest{.fd = out, .events = POLLIN, .revents = 0};
    if (::poll(&rest, 1, 0) <= 0) break;
    const ssize_t n = ::read(out, piece.data(), piece.size());
    if (n <= 0) break;
    const size_t space = options.output_bytes - std::min(options.output_bytes, result.output.size());
    result.output.append(piece.data(), std::min(static_cast<size_t>(n), space));
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return result;
}

struct Pipe {
  int ends[2] = {-1, -1};
  ~Pipe() {
    for (const int end : ends)
      if (end >= 0) ::close(end);
  }
  bool open() { return ::pipe2(ends, O_CLOEXEC) == 0; }
  void close_write() { ::close(std::exchange(ends[1], -1)); }
};

Error refused(const char* step, int error) {
  return fail(
      ErrorCode::kUnsupported,
      "the sandbox cannot be had on this system: could not {}: {}. Run where namespaces are permitted, or say "
      "--unsafe-code to run generated programs with limits alone",
      step, std::strerror(error));
}

// One try, isolated or not; kUnsupported when the isolation failed.
Result<SandboxResult> run_once(const Path& folder, const SandboxOptions& options, bool isolate) {
  Pipe out, report;
  if (!out.open() || !report.open())
    return fail(ErrorCode::kIo, "could not open a pipe: {}", std::strerror(errno));
  const std::string uid_map = fmt::format("0 {} 1", ::geteuid()),
                    gid_map = fmt::format("0 {} 1", ::getegid());
  std::string program = (folder / "main.py").string(), home = "HOME=" + folder.string();
  std::string python = kPython, alone = "-I", no_cache = "-B", path = "PATH=/usr/bin:/bin",
              text = "LANG=C.UTF-8", seed = "PYTHONHASHSEED=0", threads = "OPENBLAS_NUM_THREADS=1";
  char* const arguments[] = {python.data(), alone.data(), no_cache.data(), program.data(), nullptr};
  char* const environment[] = {path.data(), home.data(), text.data(), seed.data(), threads.data(), nullptr};
  const Plan plan{.folder = folder.c_str(),
                  .out = out.ends[1],
                  .report = report.ends[1],
                  .isolate = isolate,
                  .as_root = ::geteuid() == 0,
                  .uid_map = uid_map.c_str(),
                  .gid_map = gid_map.c_str(),
                  .arguments = arguments,
                  .environment = environment,
                  .options = &options};
  uint64_t flags = SIGCHLD;
  if (isolate) flags |= CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (isolate && !plan.as_root) flags |= CLONE_NEWUSER;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) run_child(plan);
  if (child < 0) return refused("enter namespaces", errno);
  out.close_write();
  report.close_write();
  Trouble trouble{};
  ssize_t n = 0;
  do {
    n = ::read(report.ends[0], &trouble, sizeof trouble);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof trouble) {
    ::waitpid(child, nullptr, 0);
    return refused(kSteps[static_cast<size_t>(std::clamp(trouble.step, 0, 4))], trouble.error);
  }
  SandboxResult result = watch(child, out.ends[0], options);
  result.isolated = isolate;
  return result;
}

}  // namespace

Result<SandboxResult> run_python(std::string_view program, const SandboxOptions& options) {
  if (::access(kPython, X_OK) != 0)
    return fail(ErrorCode::kNotFound, "expected python3 to run generated programs with: install it")
        .at(kPython);
  const Folder folder = TRY(Folder::create());
  TRY(write_file_atomic(folder.path() / "main.py", program));
  if (::geteuid() == 0 && (::chown(folder.path().c_str(), kNobody, kNobody) != 0 ||
                           ::chown((folder.path() / "main.py").c_str(), kNobody, kNobody) != 0))
    return fail(ErrorCode::kIo, "could not give the folder to its user: {}", std::strerror(errno))
        .at(folder.path().string());
  Result<SandboxResult> result = run_once(folder.path(), options, true);
  if (!result && result.error().code == ErrorCode::kUnsupported && options.allow_without_isolation)
    result = run_once(folder.path(), options, false);
  if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped while a program ran");
  return result;
}

}  // namespace volant
