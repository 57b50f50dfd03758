#include "eval/predict/linear_words.h"

#include <linear.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "io/shared_library.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr double kCost = 4;          // C of the regularised loss
constexpr double kTolerance = 0.01;  // where the solver ends
constexpr size_t kMinDocuments = 2;  // a feature of one text teaches nothing
constexpr size_t kMaxFeatures = 400'000;

struct Liblinear {
  SharedLibrary library{"liblinear.so.4"};
  decltype(&::train) train = nullptr;
  decltype(&::predict_probability) predict = nullptr;
  decltype(&::free_and_destroy_model) free_model = nullptr;
  decltype(&::set_print_string_function) set_print = nullptr;

  Liblinear() {
    library.find(train, "train");
    library.find(predict, "predict_probability");
    library.find(free_model, "free_and_destroy_model");
    library.find(set_print, "set_print_string_function");
    if (library.present()) set_print([](const char*) {});
  }
};

const Liblinear& liblinear() {
  static const Liblinear library;
  return library;
}

using Counts = std::map<std::string, double>;

Counts counts_of(const std::string& text) {
  const std::vector<std::string> words = split_words(to_lower(text));
  Counts counts;
  for (size_t i = 0; i < words.size(); ++i) {
    counts[words[i]] += 1;
    if (i + 1 < words.size()) counts[words[i] + ' ' + words[i + 1]] += 1;
  }
  return counts;
}

struct Vocabulary {
  struct Entry {
    int index = 0;  // from 1 on
    double idf = 1;
  };
  std::unordered_map<std::string, Entry> entries;

  static Vocabulary of(std::span<const Counts> documents) {
    std::unordered_map<std::string, size_t> frequency;
    for (const Counts& document : documents)
      for (const auto& [word, count] : document) ++frequency[word];
    std::vector<std::pair<size_t, std::string>> kept;
    for (const auto& [word, n] : frequency)
      if (n >= kMinDocuments) kept.emplace_back(n, word);
    std::ranges::sort(kept, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    if (kept.size() > kMaxFeatures) kept.resize(kMaxFeatures);
    Vocabulary vocabulary;
    const auto all = static_cast<double>(documents.size());
    for (const auto& [n, word] : kept)
      vocabulary.entries[word] = {static_cast<int>(vocabulary.entries.size()) + 1,
                                  std::log((1 + all) / (1 + static_cast<double>(n))) + 1};
    return vocabulary;
  }

  // Sparse, by index, ended by index -1; of length one.
  std::vector<feature_node> weigh(const Counts& counts) const {
    std::vector<feature_node> nodes;
    double squares = 0;
    for (const auto& [word, count] : counts) {
      const auto found = entries.find(word);
      if (found == entries.end()) continue;
      const double value = (1 + std::log(count)) * found->second.idf;
      nodes.push_back({found->second.index, value});
      squares += value * value;
    }
    std::ranges::sort(nodes, {}, &feature_node::index);
    for (feature_node& node : nodes) node.value /= std::sqrt(squares);
    nodes.push_back({static_cast<int>(entries.size()) + 1, 1});  // the bias
    nodes.push_back({-1, 0});
    return nodes;
  }
};

std::vector<Counts> all_counts(std::span<const std::string> texts) {
  std::vector<Counts> counts;
  counts.reserve(texts.size());
  for (const std::string& text : texts) counts.push_back(counts_of(text));
  return counts;
}

}  // namespace

Result<std::vector<double>> linear_words(std::span<const std::string> train, std::span<const int32_t> labels,
                                         int n_classes, std::span<const std::string> test) {
  const Liblinear& library = liblinear();
  if (!library.library.present())
    return fail(ErrorCode::kUnavailable, "liblinear is not installed (liblinear4)");
  const std::set<int32_t> present(labels.begin(), labels.end());
  if (train.size() != labels.size() || present.size() < 2 || *present.begin() < 0 ||
      *present.rbegin() >= n_classes)
    return fail(ErrorCode::kInvalidArgument,
                "expected texts of two classes or more, each with its number below {}", n_classes);
  const std::vector<Counts> documents = all_counts(train);
  const Vocabulary vocabulary = Vocabulary::of(documents);
  std::vector<std::vector<feature_node>> rows;
  std::vector<feature_node*> pointers;
  for (const Counts& document : documents) rows.push_back(vocabulary.weigh(document));
  for (std::vector<feature_node>& row : rows) pointers.push_back(row.data());
  std::vector<double> targets(labels.begin(), labels.end());
  problem data{};
  data.l = static_cast<int>(rows.size());
  data.n = static_cast<int>(vocabulary.entries.size()) + 1;
  data.y = targets.data();
  data.x = pointers.data();
  data.bias = 1;
  parameter how{};
  how.solver_type = L2R_LR;
  how.C = kCost;
  how.eps = kTolerance;
  how.p = 0.1;
  model* learned = library.train(&data, &how);
  std::vector<double> probabilities;
  std::vector<double> of_present(present.size());
  for (const std::string& text : test) {
    const std::vector<feature_node> row = vocabulary.weigh(counts_of(text));
    library.predict(learned, row.data(), of_present.data());
    std::vector<double> all(static_cast<size_t>(n_classes));
    for (size_t c = 0; c < of_present.size(); ++c)
      all[static_cast<size_t>(learned->label[c])] = of_present[c];
    probabilities.insert(probabilities.end(), all.begin(), all.end());
  }
  library.free_model(&learned);
  return probabilities;
}

}  // namespace volant
