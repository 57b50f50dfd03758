// How commands print: JSON for scripts, aligned tables for people.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"

namespace volant::cli {

void print_json(const Json& value);
void print_line(const std::string& line);
// Whether standard output is a terminal.
bool is_terminal();

// Rows of cells under a heading, as wide as their longest cell; Chinese characters count two.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : rows_{std::move(heading)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "2026-11-22T09:15:02.123Z" as "2026-11-22 09:15".
std::string short_time(const std::string& iso8601);
// One line, at most `width` columns, with "…" where it was cut.
std::string one_line(const std::string& text, size_t width);
// A number at `key` of an object inside `object` ("bits_per_byte": {"value": ...}), or "-".
std::string metric(const Json& metrics, const char* key, int digits);
// What a version is judged by first: "2.210 bits per byte", "accuracy 0.859", "r_squared 0.263", or "-".
std::string main_metric(const Json& metrics);

}  // namespace volant::cli
