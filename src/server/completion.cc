#include "server/completion.h"

#include <atomic>
#include <mutex>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "registry/answers.h"
#include "server/api_error.h"
#include "server/openai_response.h"

namespace volant {
namespace {

HttpResponse stream_head() {
  return {.status = 200,
          .headers = {{"Content-Type", "text/event-stream; charset=utf-8"},
                      {"Cache-Control", "no-store"},
                      {"X-Accel-Buffering", "no"}},  // proxies must not hold it back
          .body = {},
          .fixed_body = {}};
}

// The prompts of a request as ids, each with the text that `echo` gives back.
struct Prompt {
  std::vector<int32_t> ids;
  std::string text;
};

Result<std::vector<Prompt>> encode_prompts(const CompletionRequest& request, const Engine& engine) {
  std::vector<Prompt> prompts;
  if (request.prompts.empty()) {
    prompts.push_back({.ids = TRY(engine.encode_chat(request.messages)), .text = {}});
    return prompts;
  }
  for (const auto& prompt : request.prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      prompts.push_back({.ids = engine.tokenizer().encode(*text), .text = *text});
    } else {
      const auto& ids = std::get<std::vector<int32_t>>(prompt);
      prompts.push_back({.ids = ids, .text = engine.tokenizer().decode(ids)});
    }
  }
  return prompts;
}

// What the engine would refuse, said in the words of the API.
Status check_prompts(const CompletionRequest& request, const std::vector<Prompt>& prompts,
                     const Engine& engine) {
  const std::string param = request.prompts.empty() ? "messages" : "prompt";
  const int32_t n_vocab = engine.tokenizer().n_vocab();
  for (const Prompt& prompt : prompts) {
    if (prompt.ids.empty())
      return fail(ErrorCode::kInvalidArgument, "expected a prompt that is not empty").at(param);
    if (prompt.ids.size() >= static_cast<size_t>(engine.n_ctx())) {
      return fail(ErrorCode::kInvalidArgument,
                  "this model's maximum context length is {} tokens, and the prompt has {}; shorten it",
                  engine.n_ctx(), prompt.ids.size())
          .at(param);
    }
    for (const int32_t id : prompt.ids) {
      if (id < 0 || id >= n_vocab) {
        return fail(ErrorCode::kInvalidArgument, "expected token ids below {}, got {}", n_vocab, id)
            .at(param);
      }
    }
  }
  for (const auto& [id, bias] : request.sampling.logit_bias) {
    if (id >= n_vocab) {
      return fail(ErrorCode::kInvalidArgument, "expected token ids below {}, got {}", n_vocab, id)
          .at("logit_bias");
    }
  }
  return {};
}

// One request while it is answered. Shared by the exchange,
// the engine's callbacks and the worker that ends it.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  Completion(const CompletionContext& context, const HttpExchangePtr& exchange, CompletionRequest request,
             const ServedModelPtr& model, std::vector<Prompt> prompts)
      : context_(context),
        exchange_(exchange),
        request_(std::move(request)),
        model_(model),
        prompts_(std::move(prompts)),
        head_{.id = (request_.prompts.empty() ? "chatcmpl-" : "cmpl-") + secure_random_hex(12),
              .model = model->adapter_of(request_.model) > 0 ? request_.model : model->version,
              .fingerprint = model->fingerprint,
              .created = now_unix_seconds(),
              .chat = request_.prompts.empty()},
        chunks_(head_, model->engine->tokenizer(), request_.logprobs >= 0, request_.include_usage),
        started_(steady_seconds()) {
    choices_.resize(prompts_.size() * static_cast<size_t>(request_.n));
    running_ = choices_.size();
    for (size_t i = 0; i < choices_.size(); ++i) choices_[i].index = static_cast<int>(i);
  }

  void start() {
    if (request_.max_tokens == 0) return echo_only();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Result<uint64_t> number = submit(i);
      if (!number) return give_up(number.error());
      const std::lock_guard lock(mutex_);
      numbers_.push_back(*number);
    }
    exchange_->on_close([weak = weak_from_this()] {
      if (const auto alive = weak.lock()) alive->cancel();
    });
    if (request_.stream) open_stream();
  }

 private:
  const Prompt& prompt_of(size_t choice) const { return prompts_[choice / static_cast<size_t>(request_.n)]; }

  int max_tokens_of(const Prompt& prompt) const {
    const int room = model_->engine->n_ctx() - static_cast<int>(prompt.ids.size());
    return std::min(room, request_.max_tokens.value_or(context_.max_tokens));
  }

  Result<uint64_t> submit(size_t index) {
    const Prompt& prompt = prompt_of(index);
    GenerateRequest generate;
    generate.prompt = prompt.ids;
    generate.adapter = model_->adapter_of(request_.model);
    generate.max_tokens = max_tokens_of(prompt);
    generate.sampling = request_.sampling;
    if (generate.sampling.seed) *generate.sampling.seed += index % static_cast<size_t>(request_.n);
    generate.stop = request_.stop;
    generate.ignore_stop_ids = request_.ignore_stop_ids;
    generate.logprobs = request_.logprobs;
    return model_->engine->submit(
        std::move(generate),
        [self = shared_from_this(), index](const GenerateEvent& event) {
          return self->on_event(index, event);
        },
        [self = shared_from_this(), index](const GenerateResult& result) { self->on_done(index, result); });
  }

  // On the engine's thread.
  bool on_event(size_t index, const GenerateEvent& event) {
    if (!first_token_.exchange(true)) context_.metrics->count_first_token(steady_seconds() - started_);
    const std::lock_guard lock(mutex_);
    if (cancelled_) return false;
    Choice& choice = choices_[index];
    if (request_.stream) {
      const size_t offset = choice.text.size();
      choice.text += event.text;
      return write(chunks_.text(static_cast<int>(index), event, offset));
    }
    if (request_.logprobs >= 0) choice.tokens.push_back(event);
    return true;
  }

  // On the engine's thread.
  void on_done(size_t index, const GenerateResult& result) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      Choice& choice = choices_[index];
      choice.text = (request_.echo ? prompt_of(index).text : "") + result.text;
      choice.finish_reason = finish_reason_name(result.finish);
      if (index % static_cast<size_t>(request_.n) == 0) usage_.prompt_tokens += result.prompt_tokens;
      usage_.completion_tokens += result.completion_tokens;
      if (result.finish == FinishReason::kError && !error_) {
        error_ = result.error.value_or(fail(ErrorCode::kInternal, "the model failed"));
      }
      if (request_.stream && result.finish != FinishReason::kError) {
        write(chunks_.finish(static_cast<int>(index), choice.finish_reason));
      }
      last = --running_ == 0;
    }
    context_.metrics->count_answer(finish_reason_name(result.finish));
    if (last) context_.post([self = shared_from_this()] { self->finish(); });
  }

  // Held back until the head of the answer is out; needs mutex_.
  bool write(const std::string& bytes) {
    if (open_) return exchange_->write(bytes);
    early_ += bytes;
    return true;
  }

  void open_stream() {
    const std::lock_guard lock(mutex_);
    exchange_->start_stream(stream_head());
    open_ = true;
    std::string begin;
    for (const Choice& choice : choices_) {
      begin += chunks_.role(choice.index);
      if (request_.echo) {
        const std::string& prompt = prompt_of(static_cast<size_t>(choice.index)).text;
        begin += chunks_.text(choice.index, {.text = prompt, .logprob = {}, .top = {}}, 0);
      }
    }
    exchange_->write(begin + std::exchange(early_, {}));
    if (ended_) end_stream();
  }

  void cancel() {
    std::vector<uint64_t> numbers;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      numbers = numbers_;
    }
    for (const uint64_t number : numbers) model_->engine->cancel(number);
  }

  // The engine took some of the answers, and refused the next: none is given.
  void give_up(const Error& error) {
    cancel();
    exchange_->send(error_response(error));
  }

  // "echo" with "max_tokens": 0 gives the prompt back.
  void echo_only() {
    for (size_t i = 0; i < choices_.size(); ++i) {
      choices_[i].text = prompt_of(i).text;
      choices_[i].finish_reason = "length";
    }
    for (const Prompt& prompt : prompts_) usage_.prompt_tokens += static_cast<int64_t>(prompt.ids.size());
    running_ = 0;
    if (request_.stream) {
      for (const Choice& choice : choices_) early_ += chunks_.finish(choice.index, choice.finish_reason);
      open_stream();
    }
    finish();
  }

  // On a worker, when every answer has ended.
  void finish() {
    context_.metrics->count_tokens(usage_.prompt_tokens, usage_.completion_tokens);
    record();
    if (request_.stream) {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      if (open_) end_stream();
    } else if (error_) {
      exchange_->send(error_response(*error_));
    } else {
      exchange_->send(json_response(
          whole_answer(head_, choices_, usage_, model_->engine->tokenizer(), request_.logprobs >= 0)));
    }
  }

  // Needs mutex_.
  void end_stream() {
    std::string end = error_ ? ChunkWriter::error(error_object(*error_)) : chunks_.usage(usage_);
    exchange_->write(end + ChunkWriter::done());
    exchange_->finish();
  }

  // Under the answer's id; further answers of the same request as "id-1", "id-2".
  void record() {
    if (context_.registry == nullptr || !model_->registered || error_) return;
    for (const Choice& choice : choices_) {
      const auto index = static_cast<size_t>(choice.index);
      if (choice.text.empty() && choice.finish_reason == "cancelled") continue;
      RecordedAnswer answer;
      answer.id = index == 0 ? head_.id : fmt::format("{}-{}", head_.id, index);
      answer.version = model_->version;
      answer.messages = head_.chat
                            ? request_.messages
                            : JsonArray{JsonObject{{"role", "prompt"}, {"content", prompt_of(index).text}}};
      answer.answer = choice.text;
      answer.settings = settings(choice);
      if (const Status recorded = record_answer(*context_.registry, answer); !recorded) {
        context_.metrics->count_unrecorded();
        log_error("answer {} was not recorded: {}", answer.id, recorded.error().to_string());
      }
    }
  }

  JsonObject settings(const Choice& choice) const {
    JsonObject out{{"temperature", request_.sampling.temperature},
                   {"top_p", request_.sampling.top_p},
                   {"max_tokens", max_tokens_of(prompt_of(static_cast<size_t>(choice.index)))},
                   {"finish_reason", choice.finish_reason},
                   {"prompt_tokens", usage_.prompt_tokens},
                   {"completion_tokens", usage_.completion_tokens},
                   {"seconds", steady_seconds() - started_}};
    if (request_.sampling.seed) out["seed"] = *request_.sampling.seed;
    return out;
  }

  const CompletionContext context_;
  const HttpExchangePtr exchange_;
  const CompletionRequest request_;
  const ServedModelPtr model_;
  const std::vector<Prompt> prompts_;
  const AnswerHead head_;
  const ChunkWriter chunks_;
  const double started_;
  std::atomic<bool> first_token_{false};
  std::mutex mutex_;
  std::vector<Choice> choices_;
  std::vector<uint64_t> numbers_;  // of the engine
  size_t running_ = 0;
  Usage usage_;
  std::optional<Error> error_;
  std::string early_;  // chunks made before the head was sent
  bool open_ = false, ended_ = false, cancelled_ = false;
};

}  // namespace

void complete(const CompletionContext& context, const HttpExchangePtr& exchange, CompletionRequest request,
              const ServedModelPtr& model) {
  if (!model->engine)
    return exchange->send(error_response(
        400, "unsupported",
        fmt::format("'{}' is an encoder: it gives embeddings at /v1/embeddings and no answers", model->name),
        "model"));
  Result<std::vector<Prompt>> prompts = encode_prompts(request, *model->engine);
  if (!prompts) return exchange->send(error_response(prompts.error()));
  if (const Status good = check_prompts(request, *prompts, *model->engine); !good) {
    HttpResponse response = error_response(good.error());
    if (good.error().message.find("maximum context length") != std::string::npos) {
      response = error_response(400, "context_length_exceeded", good.error().message, good.error().where);
    }
    return exchange->send(std::move(response));
  }
  std::make_shared<Completion>(context, exchange, std::move(request), model, std::move(*prompts))->start();
}

}  // namespace volant
