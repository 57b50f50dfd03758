#include "base/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"

namespace volant {
namespace {
constexpr double kTerminalPeriodSeconds = 0.1;
constexpr double kPlainPeriodSeconds = 5;

std::string format_rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.1f} M", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.1f} k", per_second / 1e3);
  return per_second >= 10 ? fmt::format("{:.0f} ", per_second) : fmt::format("{:.1f} ", per_second);
}
}  // namespace

void print_notice(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

bool notices_have_colour() { return isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

std::string format_duration(double seconds) {
  const int64_t total = std::lround(std::max(0.0, seconds));
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m {:02}s", total / 60, total % 60);
  return fmt::format("{}h {:02}m", total / 3600, total / 60 % 60);
}

std::string format_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string format_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

Progress::Progress(std::string_view title, uint64_t total, std::string_view unit)
    : title_(title),
      unit_(unit),
      total_(total),
      started_(steady_seconds()),
      terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { finish(note_); }

void Progress::update(uint64_t done, std::string_view note) {
  done_ = done;
  note_ = note;
  const double now = steady_seconds();
  const double period = terminal_ ? kTerminalPeriodSeconds : kPlainPeriodSeconds;
  if (now - std::max(drawn_, terminal_ ? 0.0 : started_) < period) return;
  drawn_ = now;
  draw(note, false);
}

void Progress::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  draw(note.empty() ? std::string_view(note_) : note, true);
}

void Progress::draw(std::string_view note, bool last) {
  const double elapsed = std::max(1e-6, steady_seconds() - started_);
  const double rate = static_cast<double>(done_) / elapsed;
  std::string line = fmt::format("{}: ", title_);
  if (total_ > 0 && !last) {
    line += fmt::format("{:3.0f} %  {} of {} {}",
                        100.0 * static_cast<double>(done_) / static_cast<double>(total_), format_count(done_),
                        format_count(total_), unit_);
  } else {
    line += fmt::format("{} {}", format_count(done_), unit_);
  }
  line += fmt::format("  {}{}/s", format_rate(rate), unit_);
  if (last) {
    line += fmt::format("  in {}", format_duration(elapsed));
  } else if (total_ > done_ && rate > 0) {
    line += fmt::format("  {} left", format_duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!note.empty()) line += fmt::format("  {}", note);
  if (terminal_) {
    std::fprintf(stderr, "\r\x1b[2K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace volant
