// Counters and histograms of the server in Prometheus' text format (version 0.0.4). Thread safe.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace volant {

class Histogram {
 public:
  void add(double seconds);
  // Appends `name{labels,le="..."}` lines, sum and count.
  void write(const std::string& name, const std::string& labels, std::string& out) const;

 private:
  static constexpr std::array<double, 12> kBounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.25,
                                                     0.5,   1,     2.5,  10,   60,  300};
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

class Metrics {
 public:
  void count_request(const std::string& route, const std::string& method, int status, double seconds);
  void count_tokens(int64_t prompt, int64_t completion);
  void count_first_token(double seconds);
  void count_answer(const std::string& finish_reason);
  void count_unrecorded();

  struct Gauge {
    std::string name, help, labels;
    double value = 0;
  };
  // Everything counted so far and the given gauges.
  std::string text(const std::vector<Gauge>& gauges) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t> requests_;  // by labels
  std::map<std::string, Histogram> seconds_;  // by route
  std::map<std::string, uint64_t> answers_;   // by finish reason
  Histogram first_token_;
  uint64_t prompt_tokens_ = 0, completion_tokens_ = 0, unrecorded_ = 0;
};

// A label value with its quotes and backslashes escaped.
std::string prometheus_escape(const std::string& value);
// Resident memory of this process; 0 when it cannot be read.
uint64_t resident_bytes();

}  // namespace volant
