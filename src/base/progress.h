// Progress of long work on standard error: one line that redraws itself on a terminal, or a
// plain line every few seconds elsewhere; what is done, speed and time left.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace volant {

class Progress {
 public:
  // `total` of 0 means unknown; `unit` is plural ("documents", "tokens").
  Progress(std::string_view title, uint64_t total, std::string_view unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `done` units so far; `note` follows on the line ("loss 4.21").
  void update(uint64_t done, std::string_view note = {});
  // A better guess of the total, once there is one.
  void set_total(uint64_t total) { total_ = total; }
  // Writes the last line; the destructor does so too.
  void finish(std::string_view note = {});

 private:
  void draw(std::string_view note, bool last);
  std::string title_, unit_, note_;
  uint64_t total_, done_ = 0;
  double started_, drawn_ = 0;
  bool terminal_, finished_ = false;
};

// Writes `text` to standard error, whatever the log level: what a person should read before long work.
void print_notice(std::string_view text);
// Whether standard error takes colours: a terminal, and NO_COLOR is not set.
bool notices_have_colour();

// "1m 20s", "35s", "2h 05m": a duration as people say it.
std::string format_duration(double seconds);
// "1.2 GB", "640 kB"; decimal units.
std::string format_bytes(double bytes);
// "12,345".
std::string format_count(uint64_t count);

}  // namespace volant
