#include "server/metrics.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

namespace volant {

void Histogram::add(double seconds) {
  size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  ++counts_[i];
  sum_ += seconds;
}

void Histogram::write(const std::string& name, const std::string& labels, std::string& out) const {
  const std::string comma = labels.empty() ? "" : ",";
  const std::string braces = labels.empty() ? "" : "{" + labels + "}";
  uint64_t total = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    total += counts_[i];
    out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, kBounds[i], total);
  }
  total += counts_.back();
  out += fmt::format("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, total);
  out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, braces, sum_, name, braces, total);
}

std::string prometheus_escape(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long long size = 0, resident = 0;
  const int n = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return n == 2 ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

void Metrics::count_request(const std::string& route, const std::string& method, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[fmt::format("route=\"{}\",method=\"{}\",status=\"{}\"", prometheus_escape(route),
                          prometheus_escape(method), status)];
  seconds_[fmt::format("route=\"{}\"", prometheus_escape(route))].add(seconds);
}

void Metrics::count_tokens(int64_t prompt, int64_t completion) {
  const std::lock_guard lock(mutex_);
  prompt_tokens_ += static_cast<uint64_t>(prompt);
  completion_tokens_ += static_cast<uint64_t>(completion);
}

void Metrics::count_first_token(double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_.add(seconds);
}

void Metrics::count_answer(const std::string& finish_reason) {
  const std::lock_guard lock(mutex_);
  ++answers_[finish_reason];
}

void Metrics::count_unrecorded() {
  const std::lock_guard lock(mutex_);
  ++unrecorded_;
}

std::string Metrics::text(const std::vector<Gauge>& gauges) const {
  std::string out;
  const auto head = [&](const char* name, const char* help, const char* type) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  const std::lock_guard lock(mutex_);
  head("volant_http_requests_total", "HTTP requests answered", "counter");
  for (const auto& [labels, count] : requests_)
    out += fmt::format("volant_http_requests_total{{{}}} {}\n", labels, count);
  head("volant_http_request_seconds", "From the head of a request to the end of its answer", "histogram");
  for (const auto& [labels, histogram] : seconds_)
    histogram.write("volant_http_request_seconds", labels, out);
  head("volant_first_token_seconds", "From a request to the first token of its answer", "histogram");
  first_token_.write("volant_first_token_seconds", "", out);
  head("volant_prompt_tokens_total", "Tokens read", "counter");
  out += fmt::format("volant_prompt_tokens_total {}\n", prompt_tokens_);
  head("volant_completion_tokens_total", "Tokens written", "counter");
  out += fmt::format("volant_completion_tokens_total {}\n", completion_tokens_);
  head("volant_answers_total", "Answers by the reason of their end", "counter");
  for (const auto& [reason, count] : answers_) {
    out += fmt::format("volant_answers_total{{finish_reason=\"{}\"}} {}\n", prometheus_escape(reason), count);
  }
  head("volant_answers_unrecorded_total", "Answers that could not be written to the registry", "counter");
  out += fmt::format("volant_answers_unrecorded_total {}\n", unrecorded_);
  for (const Gauge& gauge : gauges) {
    head(gauge.name.c_str(), gauge.help.c_str(), "gauge");
    out += fmt::format("{}{} {}\n", gauge.name, gauge.labels.empty() ? "" : "{" + gauge.labels + "}",
                       gauge.value);
  }
  return out;
}

}  // namespace volant
