// Speed of encoding on one thread, MB of UTF-8 a second (processor time: the first pass, and the median of
// those after it, when words have been seen before), beside the SentencePiece library
// on the same texts in the same run.
//   bench_text [DATA [CODE]]     DATA: the test data folder; CODE: a folder of C++ files (default: src)
#include <fmt/core.h>
#include <sentencepiece_processor.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace volant {
namespace {

constexpr size_t kDocumentBytes = 4096;  // texts are cut at line ends into documents of about this size
constexpr size_t kMaxCorpusBytes = 2 << 20;

// Processor time of this thread: what others do on the machine counts less than on the wall clock.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Corpus {
  std::string name;
  std::vector<std::string> documents;
  size_t bytes = 0;
  Corpus(std::string called, std::string_view text) : name(std::move(called)) {
    text =
        text.substr(0, text.size() > kMaxCorpusBytes ? text.rfind('\n', kMaxCorpusBytes) + 1 : text.size());
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n', std::min(kDocumentBytes, text.size())), text.size());
      documents.emplace_back(text.substr(0, end));
      bytes += end;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
};

struct Speed {
  double first = 0;   // of the first pass: no word has been seen
  double median = 0;  // of the passes after it
};

Speed measure(const Corpus& corpus, const std::function<size_t(const std::string&)>& encode) {
  const auto pass = [&] {
    const double begin = thread_seconds();
    for (const std::string& document : corpus.documents) encode(document);
    return static_cast<double>(corpus.bytes) / 1e6 / (thread_seconds() - begin);
  };
  Speed speed{pass(), 0};
  std::vector<double> speeds;
  const double stop = thread_seconds() + 0.5;
  while (speeds.size() < 5 || thread_seconds() < stop) speeds.push_back(pass());
  std::sort(speeds.begin(), speeds.end());
  speed.median = speeds[speeds.size() / 2];
  return speed;
}

std::string poems(const Path& folder) {
  std::string out;
  const std::vector<Path> files = glob((folder / "*.json").string()).value();
  for (const Path& file : files) {
    const Json json = parse_json(read_file(file).value()).value();
    for (const Json& poem : json.as_array()) {
      for (const Json& line : poem.at("paragraphs").as_array()) out += std::string(line.as_string()) + "\n";
      out += "\n";
    }
    if (out.size() > kMaxCorpusBytes) break;
  }
  return out;
}

std::string code(const Path& folder) {
  std::string out;
  const std::vector<Path> files = glob((folder / "*/*.cc").string()).value();
  for (const Path& file : files) out += read_file(file).value();
  return out;
}

void print_row(const std::string& name, const std::vector<Corpus>& corpora,
               const std::function<size_t(const std::string&)>& encode) {
  fmt::print("{:<41}", name);
  for (const Corpus& corpus : corpora) {
    const Speed speed = measure(corpus, encode);
    fmt::print("{:>16}", fmt::format("{:.1f} / {:.1f}", speed.first, speed.median));
    std::fflush(stdout);
  }
  fmt::print("\n");
}

void run(const Path& data, const Path& source) {
  std::vector<Corpus> corpora;
  corpora.emplace_back("English", read_file(data / "datasets/tinyshakespeare/input.txt").value());
  corpora.emplace_back("Chinese", poems(data / "datasets/tang-poems"));
  corpora.emplace_back("C++", code(source));
  fmt::print("{:<41}", "MB/s on one thread, first pass / later");
  for (const Corpus& corpus : corpora) fmt::print("{:>16}", corpus.name);
  fmt::print("\n");
  for (const char* name :
       {"tokenizers/gpt2", "tokenizers/llama-3", "tokenizers/qwen2.5",
        "tokenizers/tiktoken/o200k_base.tiktoken", "tokenizers/bert-base-uncased", "models/stories15M"}) {
    const auto tokenizer = open_tokenizer(data / name).value();
    print_row(name, corpora, [&](const std::string& text) { return tokenizer->encode(text).size(); });
  }
  sentencepiece::SentencePieceProcessor library;
  if (!library.Load((data / "models/stories15M/tokenizer.model").string()).ok()) return;
  std::vector<int> ids;
  print_row("models/stories15M, SentencePiece", corpora, [&](const std::string& text) {
    library.Encode(text, &ids).IgnoreError();
    return ids.size();
  });
}

}  // namespace
}  // namespace volant

int main(int argc, char** argv) {
  volant::run(argc > 1 ? argv[1] : "../shared/data", argc > 2 ? argv[2] : "src");
  return 0;
}
