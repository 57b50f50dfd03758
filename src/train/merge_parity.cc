#include "train/merge_parity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "runtime/chat_encoder.h"
#include "text/tokenizer_config.h"

namespace volant {
namespace {

constexpr size_t kMaxIds = 64;               // of one text
constexpr size_t kContinuedTexts = 2;        // that the merged model goes on with,
constexpr size_t kBegin = 16, kWritten = 8;  // from so many ids, by so many

// One text as both models read it, every row read out. An encoder-decoder reads it and writes its beginning.
struct Reading {
  std::vector<int32_t> tokens, pos, rows, begin, source, source_pos, source_begin, source_length;

  Reading(const std::vector<int32_t>& ids, const ModelConfig& config) : tokens(ids) {
    if (config.has_source()) {
      source = ids;
      tokens.insert(tokens.begin(), config.start_token_id());
      tokens.resize(std::min(tokens.size(), kBegin));
      source_begin = {0, static_cast<int32_t>(source.size())};
      source_length = {static_cast<int32_t>(source.size())};
      source_pos = counted(source.size());
    }
    pos = rows = counted(tokens.size());
    begin = {0, static_cast<int32_t>(tokens.size())};
  }
  Batch view() const {
    Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begin, .kv_slot = {}, .out_rows = rows};
    if (!source.empty())
      batch.source = {.tokens = source,
                      .pos = source_pos,
                      .seq_begin = source_begin,
                      .lengths = source_length,
                      .rows = source_pos};
    return batch;
  }

 private:
  static std::vector<int32_t> counted(size_t n) {
    std::vector<int32_t> numbers(n);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }
};

// The beginning of a text and what the model goes on with.
void go_on(NativeModel& model, std::vector<int32_t>& ids) {
  ids.resize(std::min(ids.size(), kBegin));
  for (size_t i = 0; i < kWritten && std::cmp_less(ids.size(), model.config().max_position_embeddings); ++i) {
    const Reading reading(ids, model.config());
    const auto last = model.output(reading.view()).last(static_cast<size_t>(model.config().vocab_size));
    ids.push_back(static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
  }
}

double largest_of(std::span<const float> numbers) {
  double largest = 0;
  for (const float x : numbers) largest = std::max(largest, std::abs(static_cast<double>(x)));
  return largest;
}

// Adds what one reading shows; gives the largest output.
Result<double> compare(const TorchModel& trained, NativeModel& merged, const Reading& reading,
                       ParitySums& sums) {
  const std::vector<float> a = TRY(trained.output(reading.view()));
  const std::span<const float> b = merged.output(reading.view());
  if (a.size() != b.size())
    return fail(ErrorCode::kRefused, "the merged model gives {} numbers, the trained one {}", b.size(),
                a.size());
  if (!all_finite(a) || !all_finite(b))
    return fail(ErrorCode::kRefused, "the {} model gives what are no numbers",
                all_finite(a) ? "merged" : "trained");
  const size_t n = a.size() / reading.rows.size();
  for (size_t at = 0; at < a.size(); at += n) sums.add(std::span(a).subspan(at, n), b.subspan(at, n));
  return largest_of(a);
}

PromptOf prompts_of(const ChatEncoder& encoder) {
  return [&encoder](const JsonArray& messages) { return encoder.encode(messages); };
}

}  // namespace

Result<ParityReport> merged_parity(const TrainJob& job, TorchModel& trained, const Tokenizer& tokenizer,
                                   const Path& folder) {
  const Checkpoint merged = TRY(Checkpoint::open(folder));
  const std::unique_ptr<Tokenizer> its_tokenizer = TRY(merged.tokenizer());
  const std::unique_ptr<NativeModel> native =
      TRY(NativeModel::load(merged, {.n_threads = job.n_threads, .n_slot = 0, .n_ctx = 0}));
  trained.compute_in_f32();
  const ModelConfig& config = trained.config();
  const auto most = std::min(kMaxIds, static_cast<size_t>(config.max_position_embeddings));
  const bool goes_on = config.output == ModelOutput::kNextToken && !config.has_source();
  ParitySums sums;
  double largest = 1;
  const std::vector<std::string>& texts = built_in_parity_texts();
  for (size_t t = 0; t < texts.size(); ++t) {
    std::vector<int32_t> ids = tokenizer.encode(texts[t]);
    if (ids != its_tokenizer->encode(texts[t]))
      return fail(ErrorCode::kRefused, "the merged vocabulary gives other ids for parity text {}", t + 1);
    ids.resize(std::min(ids.size(), most));
    if (ids.empty()) continue;
    if (goes_on && t < kContinuedTexts) go_on(*native, ids);
    largest = std::max(largest, TRY(compare(trained, *native, Reading(ids, config), sums)));
  }
  if (sums.positions == 0) return fail(ErrorCode::kRefused, "the vocabulary has no ids for the parity texts");
  const ChatEncoder asked(tokenizer,
                          TRY(load_chat_template(job.tokenizer)).value_or(default_chat_template())),
      served(*its_tokenizer, merged.chat_template());
  const bool exact = job.save_dtype == "f32";
  ParityReport report;
  report.format = job.save_dtype;
  report.conversations = TRY(compare_prompts(prompts_of(asked), prompts_of(served)));
  report.positions = sums.positions;
  report.greedy_agreement = static_cast<double>(sums.agreeing) / static_cast<double>(sums.positions);
  report.mean_kl = sums.kl / static_cast<double>(sums.positions);
  report.max_logit_error = sums.max_logit_error;
  report.max_mean_kl_allowed = exact ? 1e-5 : 0.01;
  report.max_logit_error_allowed = (exact ? 1e-3 : 0.05) * largest;
  report.bytes = merged.bytes();
  report.passed = report.mean_kl <= report.max_mean_kl_allowed &&
                  report.max_logit_error <= report.max_logit_error_allowed;
  return report;
}

Status check_merged(const ParityReport& report) {
  if (report.passed) return {};
  return fail(ErrorCode::kRefused,
              "the merged model differs from the trained one: mean divergence {:.3g} nats (at most {:.3g}), "
              "largest error of an output {:.3g} (at most {:.3g}), {:.2f} % of greedy tokens the same; the "
              "adapter itself is kept",
              report.mean_kl, report.max_mean_kl_allowed, report.max_logit_error,
              report.max_logit_error_allowed, 100 * report.greedy_agreement);
}

}  // namespace volant
