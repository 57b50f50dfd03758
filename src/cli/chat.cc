// `volant chat`: talk to a model here, without a server; or let it go on with a text (--raw).
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/resolve.h"
#include "runtime/encoder_decoder.h"
#include "runtime/engine.h"

namespace volant::cli {
namespace {

constexpr int kExitStopped = 130;

struct Flags {
  std::string model = "production", workspace = default_workspace(), adapter, prompt, system, kv = "f16",
              draft;
  bool has_prompt = false, has_seed = false, raw = false, json = false;
  int max_tokens = 256, n_threads = 0, n_ctx = 0;
  double temperature = 0.7, top_p = 0.95;
  uint64_t seed = 0;
  std::vector<std::string> stop;
};

// Ctrl-C ends the answer, not the program.
volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int) { interrupted = 1; }
void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: it also ends the wait for a line
  sigaction(SIGINT, &action, nullptr);
}

void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

double tokens_per_second(const GenerateResult& result) {
  // The first token comes with the prompt.
  return result.decode_seconds <= 0 || result.completion_tokens < 2
             ? 0
             : static_cast<double>(result.completion_tokens - 1) / result.decode_seconds;
}

Json to_json(const GenerateResult& result) {
  const JsonObject usage{{"prompt_tokens", result.prompt_tokens},
                         {"completion_tokens", result.completion_tokens},
                         {"total_tokens", result.prompt_tokens + result.completion_tokens}};
  return JsonObject{{"text", result.text},
                    {"ids", JsonArray(result.ids.begin(), result.ids.end())},
                    {"finish_reason", finish_reason_name(result.finish)},
                    {"usage", usage},
                    {"tokens_per_second", tokens_per_second(result)},
                    {"prefill_seconds", result.prefill_seconds},
                    {"decode_seconds", result.decode_seconds}};
}

// `Model`: an Engine or an EncoderDecoder.
template <class Model>
Result<GenerateResult> answer(Model& model, const Flags& flags, std::vector<int32_t> prompt) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = flags.max_tokens;
  request.adapter = flags.adapter.empty() ? 0 : 1;
  request.sampling.temperature = flags.temperature;
  request.sampling.top_p = flags.top_p;
  if (flags.has_seed) request.sampling.seed = flags.seed;
  request.stop = flags.stop;
  const bool stream = !flags.json;
  GenerateResult result = TRY(model.generate(std::move(request), [stream](const GenerateEvent& event) {
    if (stream) show(event.text);
    return interrupted == 0;
  }));
  if (result.finish == FinishReason::kError && result.error) return *result.error;
  return result;
}

JsonObject message(const char* role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

// The prompt of a conversation. The oldest turns are left out,
// the system message is not, until the answer fits too.
Result<std::vector<int32_t>> prompt_of(const Engine& engine, JsonArray& messages, const Flags& flags) {
  const size_t first = messages.empty() || messages[0].at("role") != "system" ? 0 : 1;
  while (true) {
    std::vector<int32_t> ids = TRY(engine.encode_chat(messages));
    const size_t room =
        static_cast<size_t>(std::max(1, engine.n_ctx() - std::min(flags.max_tokens, engine.n_ctx() / 2)));
    if (ids.size() <= room || messages.size() < first + 3) return ids;
    messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(first),
                   messages.begin() + static_cast<std::ptrdiff_t>(first + 2));
  }
}

// Once the answer is there: all of it as JSON, or the end of its line.
int show_end(const GenerateResult& result, const Flags& flags) {
  if (flags.json)
    print_json(to_json(result));
  else
    show("\n");
  return result.finish == FinishReason::kCancelled ? kExitStopped : 0;
}

Result<int> answer_once(Engine& engine, const Flags& flags) {
  std::vector<int32_t> prompt;
  if (flags.raw) {
    prompt = engine.tokenizer().encode(flags.prompt);
  } else {
    JsonArray messages;
    if (!flags.system.empty()) messages.push_back(message("system", flags.system));
    messages.push_back(message("user", flags.prompt));
    prompt = TRY(prompt_of(engine, messages, flags));
  }
  return show_end(TRY(answer(engine, flags, std::move(prompt))), flags);
}

// A model that writes from a source: the prompt is the source, and there is no conversation.
Result<int> write_from_source(const Path& path, const EngineOptions& options, const Flags& flags) {
  if (!flags.raw || !flags.has_prompt)
    return fail(ErrorCode::kInvalidArgument,
                "this model writes from a source: give it with --raw --prompt TEXT");
  const std::unique_ptr<EncoderDecoder> model = TRY(EncoderDecoder::open(path, options));
  catch_interrupt();
  return show_end(TRY(answer(*model, flags, model->tokenizer().encode(flags.prompt))), flags);
}

void print_greeting(const Engine& engine) {
  if (!is_terminal()) return;
  std::fprintf(stderr, "%s. /reset starts anew, /quit leaves, Ctrl-C ends an answer.\n",
               engine.checkpoint().path().string().c_str());
}

// Lines in, answers out, until /quit or the end of the input.
Result<int> converse(Engine& engine, const Flags& flags) {
  JsonArray messages;
  const auto reset = [&] {
    messages.clear();
    if (!flags.system.empty()) messages.push_back(message("system", flags.system));
  };
  reset();
  print_greeting(engine);
  while (true) {
    if (is_terminal()) show("> ");
    std::string line;
    if (!std::getline(std::cin, line)) break;
    if (line == "/quit" || line == "/exit") break;
    if (line == "/reset") {
      reset();
      continue;
    }
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    messages.push_back(message("user", line));
    std::vector<int32_t> prompt =
        flags.raw ? engine.tokenizer().encode(line) : TRY(prompt_of(engine, messages, flags));
    interrupted = 0;
    const GenerateResult result = TRY(answer(engine, flags, std::move(prompt)));
    interrupted = 0;
    if (flags.json)
      print_json(to_json(result));
    else
      show("\n");
    messages.push_back(message("assistant", result.text));
  }
  if (is_terminal()) show("\n");
  return 0;
}

Result<int> chat(const Flags& flags) {
  const Path path = TRY(resolve_model(flags.workspace, flags.model));
  EngineOptions options;
  options.n_threads = flags.n_threads;
  options.n_slots = 1;
  options.n_ctx = flags.n_ctx;
  options.kv_dtype = TRY(dtype_from_name(flags.kv));
  if (!flags.draft.empty()) options.draft = flags.draft;
  if (TRY(Checkpoint::open(path)).config().has_source()) {
    if (!flags.adapter.empty())
      return fail(ErrorCode::kUnsupported, "--adapter: an encoder-decoder runs with a merged adapter alone");
    return write_from_source(path, options, flags);
  }
  if (!flags.adapter.empty()) options.adapters = {flags.adapter};
  const std::unique_ptr<Engine> engine = TRY(Engine::open(path, options));
  catch_interrupt();
  return flags.has_prompt ? answer_once(*engine, flags) : converse(*engine, flags);
}

}  // namespace

void add_chat(CLI::App& root, Action& action) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = root.add_subcommand("chat", "Talk to a model here, or let it go on with a text");
  command
      ->add_option("--model,model", flags->model, "Model folder, .gguf file, or a version of the workspace")
      ->capture_default_str();
  command->add_option("--adapter", flags->adapter, "A folder in PEFT's layout, applied beside the model");
  command->add_option("--workspace", flags->workspace, "Folder with volant.toml, for versions")
      ->capture_default_str();
  CLI::Option* prompt = command->add_option("--prompt", flags->prompt,
                                            "Answer this and leave; default: a conversation, line by line");
  CLI::Option* system = command->add_option("--system", flags->system, "System message");
  command->add_flag("--raw", flags->raw, "No chat template: go on with the text itself")->excludes(system);
  command->add_option("--max-tokens", flags->max_tokens, "Tokens of an answer, at most")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--temperature", flags->temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 5.0))
      ->capture_default_str();
  command->add_option("--top-p", flags->top_p, "Share of probability that is drawn from")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  CLI::Option* seed = command->add_option("--seed", flags->seed, "The same seed gives the same answer");
  command->add_option("--stop", flags->stop, "A text that ends the answer; may be given several times");
  command->add_option("--n-ctx", flags->n_ctx, "Tokens of prompt and answer together; 0: the model's own");
  command->add_option("--kv", flags->kv, "Numbers of keys and values")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "f16", "q8_0"}));
  command->add_option(
      "--draft", flags->draft,
      "A smaller model with the same vocabulary that guesses next tokens; answers stay the same");
  command->add_option("--threads", flags->n_threads, "0: all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", flags->json, "Print JSON: text, ids, finish_reason, usage, tokens_per_second");
  command->footer(
      "Examples:\n"
      "  volant chat --workspace my-model                              with what is in production\n"
      "  volant chat models/minimind2-small --prompt \"你好\"\n"
      "  volant chat models/large.gguf --draft models/small.gguf       sooner, with the same answers\n"
      "  volant chat models/stories15M --raw --prompt \"Once upon a time\" --temperature 0");
  command->callback([flags, prompt, seed, &action] {
    flags->has_prompt = prompt->count() > 0;
    flags->has_seed = seed->count() > 0;
    action = [flags] { return chat(*flags); };
  });
}

}  // namespace volant::cli
