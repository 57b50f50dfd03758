// Speed of encoding on one thread, MB of UTF-8 a second of processor time, beside the SentencePiece library
// on the same texts in the same run. Cold: the first pass of a tokenizer that was just made, median of
// several tokenizers; warm: the passes after it, when words have been seen before.
//   bench_text [DATA [CODE]]     DATA: the test data folder; CODE: a folder of C++ files (default: src)
#include <fmt/core.h>
#include <sentencepiece_processor.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace volant {
namespace {

constexpr size_t kDocumentBytes = 4096;  // texts are cut at line ends into documents of about this size
constexpr size_t kMaxCorpusBytes = 2 << 20;
constexpr int kFreshTokenizers = 5;

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
  Corpus(std::string called, std::string_view text, size_t most = kMaxCorpusBytes) : name(std::move(called)) {
    text = text.substr(0, text.size() > most ? text.rfind('\n', most) + 1 : text.size());
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n', std::min(kDocumentBytes, text.size())), text.size());
      documents.emplace_back(text.substr(0, end));
      bytes += end;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
};

using Encode = std::function<void(const std::string&)>;

double pass(const Corpus& corpus, const Encode& encode) {
  const double begin = thread_seconds();
  for (const std::string& document : corpus.documents) encode(document);
  return static_cast<double>(corpus.bytes) / 1e6 / (thread_seconds() - begin);
}

double median(std::vector<double> speeds) {
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}

// `fresh` makes an encoder that has seen no text.
std::string measure(const Corpus& corpus, const std::function<Encode()>& fresh) {
  std::vector<double> cold, warm;
  Encode encode;
  for (int i = 0; i < kFreshTokenizers; ++i) {
    encode = fresh();
    cold.push_back(pass(corpus, encode));
  }
  const double stop = thread_seconds() + 0.5;
  while (warm.size() < 5 || thread_seconds() < stop) warm.push_back(pass(corpus, encode));
  return fmt::format("{:.1f} / {:.1f}", median(cold), median(warm));
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

std::string joined(const std::string& pattern) {
  std::string out;
  const std::vector<Path> files = glob(pattern).value();
  for (const Path& file : files) out += read_file(file).value() + "\n";
  return out;
}

// All data sets that are plain text, in all languages: tables, questions, reviews, dialogues, JSON.
std::string all_sets(const Path& folder) {
  std::string out;
  for (const char* kind : {"*/*.txt", "*/*.tsv", "*/*.csv", "*/*.json", "*/*.jsonl", "*/*/*.csv"})
    out += joined((folder / kind).string());
  return out;
}

void print_row(const std::string& name, const std::vector<Corpus>& corpora,
               const std::function<Encode()>& fresh) {
  fmt::print("{:<41}", name);
  for (const Corpus& corpus : corpora) {
    fmt::print("{:>16}", measure(corpus, fresh));
    std::fflush(stdout);
  }
  fmt::print("\n");
}

void run(const Path& data, const Path& source) {
  std::vector<Corpus> corpora;
  corpora.emplace_back("English", read_file(data / "datasets/tinyshakespeare/input.txt").value());
  corpora.emplace_back("Chinese", poems(data / "datasets/tang-poems"));
  corpora.emplace_back("C++", joined((source / "*/*.cc").string()));
  corpora.emplace_back("all data sets", all_sets(data / "datasets"), SIZE_MAX);
  fmt::print("{:<41}", "MB/s on one thread, cold / warm");
  for (const Corpus& corpus : corpora) fmt::print("{:>16}", corpus.name);
  fmt::print("\n{:<41}", "MB of text");
  for (const Corpus& corpus : corpora) fmt::print("{:>16.1f}", static_cast<double>(corpus.bytes) / 1e6);
  fmt::print("\n");
  for (const char* name :
       {"tokenizers/gpt2", "tokenizers/llama-3", "tokenizers/qwen2.5",
        "tokenizers/tiktoken/cl100k_base.tiktoken", "tokenizers/tiktoken/o200k_base.tiktoken",
        "models/minimind2-small", "tokenizers/bert-base-uncased", "tokenizers/bert-base-chinese",
        "models/stories15M"}) {
    print_row(name, corpora, [&]() -> Encode {
      std::shared_ptr<const Tokenizer> tokenizer = open_tokenizer(data / name).value();
      return [tokenizer](const std::string& text) { tokenizer->encode(text); };
    });
  }
  print_row("models/stories15M, SentencePiece", corpora, [&]() -> Encode {
    const auto library = std::make_shared<sentencepiece::SentencePieceProcessor>();
    library->Load((data / "models/stories15M/tokenizer.model").string()).IgnoreError();
    return [library, ids = std::vector<int>()](const std::string& text) mutable {
      library->Encode(text, &ids).IgnoreError();
    };
  });
}

}  // namespace
}  // namespace volant

int main(int argc, char** argv) {
  volant::run(argc > 1 ? argv[1] : "../shared/data", argc > 2 ? argv[2] : "src");
  return 0;
}
