#include "cli/print.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace volant::cli {
namespace {

// Columns of one UTF-8 character that starts with `lead`:
// wide from U+1100 on, which three bytes or more mostly are.
size_t columns_of(unsigned char lead) {
  if ((lead & 0xC0) == 0x80) return 0;
  return lead >= 0xE1 && lead != 0xE2 ? 2 : 1;
}

size_t width_of(const std::string& text) {
  size_t width = 0;
  for (const char c : text) width += columns_of(static_cast<unsigned char>(c));
  return width;
}

}  // namespace

void print_json(const Json& value) { print_line(dump_json(value)); }

void print_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

bool is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

void Table::print() const {
  const std::string all = text();
  std::fwrite(all.data(), 1, all.size(), stdout);
}

std::string short_time(const std::string& iso8601) {
  if (iso8601.size() < 16) return iso8601;
  return iso8601.substr(0, 10) + " " + iso8601.substr(11, 5);
}

std::string one_line(const std::string& text, size_t width) {
  std::string line;
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    columns += columns_of(lead);
    if (columns > width && (lead & 0xC0) != 0x80) return line + "…";
    line += lead < 0x20 ? ' ' : text[i];
  }
  return line;
}

std::string metric(const Json& metrics, const char* key, int digits) {
  const Json* found = json_find(metrics, key);
  if (found == nullptr) return "-";
  const Json* value = found->is_object() ? json_find(*found, "value") : found;
  if (value == nullptr || !value->is_number()) return "-";
  return fmt::format("{:.{}f}", value->to_number<double>(), digits);
}

std::string main_metric(const Json& metrics) {
  if (json_find(metrics, "bits_per_byte") != nullptr)
    return metric(metrics, "bits_per_byte", 3) + " bits per byte";
  for (const char* name : {"accuracy", "r_squared"})
    if (json_find(metrics, name) != nullptr) return fmt::format("{} {}", name, metric(metrics, name, 3));
  return "-";
}

}  // namespace volant::cli
