// `volant serve`: the HTTP server in front of a workspace or of any model,
// and `volant serve keys` for its API keys.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "base/stop.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "registry/resolve.h"
#include "server/key_store.h"
#include "server/server.h"

namespace volant::cli {
namespace {

struct ServeFlags {
  std::string workspace = default_workspace(), model, host, key_file, log_level = "info";
  std::string kv, draft;  // empty: volant.toml's
  bool no_guess = false;
  int64_t kv_memory_mb = -1;
  int port = -1, n_slots = 0, n_ctx = 0, n_threads = -1, max_queue = -1, max_tokens = 0;
  double drain_seconds = -1;
  std::vector<std::string> adapters;  // "name=folder"
};

struct KeyFlags {
  std::string workspace = default_workspace(), file, name, scope = "all";
  bool json = false;
};

Path key_file_of(const std::string& workspace, const std::string& file) {
  return file.empty() ? Path(workspace) / ".volant" / "keys.json" : Path(file);
}

// Flags win over volant.toml, volant.toml over the defaults.
Result<ServerOptions> options_of(const ServeFlags& flags, const Workspace* workspace) {
  const ServeSection section = workspace == nullptr ? ServeSection() : workspace->config().serve;
  ServerOptions options;
  options.http.host = flags.host.empty() ? section.host : flags.host;
  options.http.port = flags.port >= 0 ? flags.port : static_cast<int>(section.port);
  options.http.max_body_bytes = static_cast<size_t>(section.max_body_bytes);
  options.http.response_timeout_s = section.request_timeout_seconds;
  options.models.engine.n_slots = flags.n_slots > 0 ? flags.n_slots : static_cast<int>(section.n_slots);
  options.models.engine.n_threads =
      flags.n_threads >= 0 ? flags.n_threads : static_cast<int>(section.n_threads);
  options.models.engine.n_ctx = flags.n_ctx;
  options.models.engine.kv_dtype = TRY(dtype_from_name(flags.kv.empty() ? section.kv : flags.kv));
  options.models.engine.guess_from_text = section.guess_from_text && !flags.no_guess;
  if (!flags.draft.empty()) {
    options.models.engine.draft = flags.draft;
  } else if (!section.draft.empty()) {
    options.models.engine.draft = workspace->path() / section.draft;
  }
  const int64_t kv_memory_mb = flags.kv_memory_mb >= 0 ? flags.kv_memory_mb : section.kv_memory_mb;
  options.models.engine.kv_bytes = static_cast<uint64_t>(kv_memory_mb) << 20;
  options.models.engine.max_queue =
      static_cast<size_t>(flags.max_queue >= 0 ? flags.max_queue : static_cast<int>(section.max_queue));
  options.max_tokens = flags.max_tokens > 0 ? flags.max_tokens : static_cast<int>(section.max_tokens);
  options.drain_seconds = flags.drain_seconds >= 0 ? flags.drain_seconds : section.drain_seconds;
  options.key_file = key_file_of(flags.workspace, flags.key_file);
  return options;
}

// What the console's form begins with: an example of each column; elsewhere something to be replaced.
std::string example_input(const Predictor& predictor) {
  const Json schema = predictor.encoder().schema();
  const std::string kind = json_string_or(schema, "kind", "").value_or("");
  if (kind == "image") return "{\"image\":\"data:image/png;base64,'$(base64 -w0 FILE.png)'\"}";
  if (kind == "text") return "{\"text\":\"...\"}";
  JsonObject input;
  if (const Json* fields = json_find(schema, "fields"); fields != nullptr && fields->is_array())
    for (const Json& field : fields->as_array())
      if (const Json* example = json_find(field, "example"); example != nullptr)
        input[json_string_or(field, "name", "").value_or("")] = *example;
  std::string quoted;  // for a shell, between '
  for (const char c : dump_json(input)) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted;
}

// The path below the URL, and what is sent there.
std::pair<std::string, std::string> example_request(const ServedModel& model) {
  const std::string name = model.registered ? "production" : model.name;
  if (model.embedder) return {"embeddings", fmt::format(R"({{"model":"{}","input":"Hello"}})", name)};
  if (model.predictor)
    return {"predictions", fmt::format(R"({{"input":{}}})", example_input(*model.predictor))};
  return {"chat/completions",
          fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"Hello"}}],"max_tokens":64}})",
                      name)};
}

void print_welcome(Server& server, const ServerOptions& options, bool has_workspace) {
  const std::string host =
      options.http.host == "0.0.0.0" || options.http.host == "::" ? "127.0.0.1" : options.http.host;
  const std::string url = fmt::format(
      "http://{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", server.port());
  const std::string serving = server.serving();
  std::printf("Volant serves %s at %s\n\n", serving.empty() ? "no model yet" : serving.c_str(), url.c_str());
  if (has_workspace) std::printf("  console   %s/\n", url.c_str());
  if (serving.empty()) {
    std::printf("  OpenAI    base URL %s/v1\n", url.c_str());
    std::printf(
        "\nThere is no production version yet: 'volant run' makes one, and it is taken up here at once.\n");
  } else {
    const ServedModelPtr model = server.models().current();
    const auto [path, body] = example_request(*model);
    std::printf("  %s %s/v1\n", model->predictor ? "API      " : "OpenAI    base URL", url.c_str());
    std::printf("\nTry\n  curl %s/v1/%s -H 'Content-Type: application/json' \\\n    -d '%s'\n", url.c_str(),
                path.c_str(), body.c_str());
  }
  std::printf("\nCtrl-C ends it, once what runs is answered.\n");
  std::fflush(stdout);
}

Status set_level(const std::string& name) {
  if (name == "debug") {
    set_log_level(LogLevel::kDebug);
  } else if (name == "warning") {
    set_log_level(LogLevel::kWarning);
  } else if (name == "error") {
    set_log_level(LogLevel::kError);
  }
  return {};
}

Status add_adapters(const ServeFlags& flags, ModelHostOptions& options) {
  if (!flags.adapters.empty() && flags.model.empty())
    return fail(ErrorCode::kInvalidArgument, "--adapter goes with --model: the model that it stands beside");
  for (const std::string& adapter : flags.adapters) {
    const size_t at = adapter.find('=');
    const std::string name = adapter.substr(0, std::min(at, adapter.size()));
    if (at == std::string::npos || name.empty() || at + 1 == adapter.size())
      return fail(ErrorCode::kInvalidArgument, "--adapter: expected NAME=FOLDER, got '{}'", adapter);
    if (std::ranges::find(options.adapter_names, name) != options.adapter_names.end())
      return fail(ErrorCode::kInvalidArgument, "--adapter: two are called '{}'", name);
    options.adapter_names.push_back(name);
    options.engine.adapters.emplace_back(adapter.substr(at + 1));
  }
  return {};
}

Result<int> serve(const ServeFlags& flags) {
  TRY(set_level(flags.log_level));
  std::unique_ptr<Workspace> workspace;
  Path model;
  if (flags.model.empty()) {
    workspace = TRY(Workspace::open(flags.workspace));
  } else {
    model = TRY(resolve_model(flags.workspace, flags.model));
  }
  ServerOptions options = TRY(options_of(flags, workspace.get()));
  options.model = model;
  TRY(add_adapters(flags, options.models));
  const std::unique_ptr<Server> server = TRY(Server::start(options, workspace.get()));
  print_welcome(*server, options, workspace != nullptr);
  const bool clean = server->run();
  if (!clean) log_warning("some requests took longer than {} s and were cut off", options.drain_seconds);
  return 0;
}

Result<int> add_key(const KeyFlags& flags) {
  const Path file = key_file_of(flags.workspace, flags.file);
  const std::string key = TRY(KeyStore::add(file, flags.name, flags.scope));
  if (flags.json) {
    std::printf("%s\n",
                dump_json(JsonObject{{"name", flags.name}, {"scope", flags.scope}, {"key", key}}).c_str());
  } else {
    std::printf("%s\n", key.c_str());
    std::fprintf(stderr, "This is the only time that the key is shown; %s keeps its SHA-256.\n",
                 file.c_str());
  }
  return 0;
}

Result<int> list_keys(const KeyFlags& flags) {
  const std::vector<ApiKey> keys = TRY(KeyStore::read(key_file_of(flags.workspace, flags.file)));
  JsonArray list;
  for (const ApiKey& key : keys) {
    list.push_back(JsonObject{
        {"name", key.name}, {"scope", key.scope}, {"created_at", key.created_at}, {"hint", key.hint}});
    if (!flags.json) {
      std::printf("%-24s %-7s %s  %s...\n", key.name.c_str(), key.scope.c_str(), key.created_at.c_str(),
                  key.hint.c_str());
    }
  }
  if (flags.json) {
    std::printf("%s\n", dump_json(JsonObject{{"keys", list}}).c_str());
  } else if (keys.empty()) {
    std::printf("There are no keys: the server answers to this machine only.\n");
  }
  return 0;
}

Result<int> remove_key(const KeyFlags& flags) {
  TRY(KeyStore::remove(key_file_of(flags.workspace, flags.file), flags.name));
  if (flags.json) {
    std::printf("%s\n", dump_json(JsonObject{{"removed", flags.name}}).c_str());
  } else {
    std::printf("The key '%s' is worth nothing from now on.\n", flags.name.c_str());
  }
  return 0;
}

void add_keys(CLI::App& serve_command, Action& action) {
  CLI::App* keys = serve_command.add_subcommand("keys", "API keys: add, list, remove");
  keys->require_subcommand(1);
  keys->footer(
      "A server that other machines can reach needs at least one key, and so does every request to it.\n"
      "Examples:\n"
      "  volant serve keys add laptop                      prints a new key, once\n"
      "  volant serve keys add app --scope models          may ask and give feedback, nothing else\n"
      "  volant serve keys list\n"
      "  volant serve keys remove laptop                   counts within a second, without a restart");
  const auto flags = std::make_shared<KeyFlags>();
  const auto common = [flags](CLI::App* command) {
    command->add_option("-w,--workspace", flags->workspace, "Folder with volant.toml")->capture_default_str();
    command->add_option("--keys", flags->file, "Key file; default: .volant/keys.json of the workspace");
    command->add_flag("--json", flags->json, "Print JSON");
  };
  CLI::App* add = keys->add_subcommand("add", "Make a key and print it, once");
  add->add_option("name", flags->name, "A name for it: who or what will use it")->required();
  add->add_option("--scope", flags->scope,
                  "What it is for: 'all', or 'models': completions and feedback only")
      ->check(CLI::IsMember({"all", "models"}))
      ->capture_default_str();
  common(add);
  add->callback([flags, &action] { action = [flags] { return add_key(*flags); }; });
  CLI::App* list = keys->add_subcommand("list", "Names of the keys");
  common(list);
  list->callback([flags, &action] { action = [flags] { return list_keys(*flags); }; });
  CLI::App* remove = keys->add_subcommand("remove", "Make a key worthless");
  remove->add_option("name", flags->name, "Its name")->required();
  common(remove);
  remove->callback([flags, &action] { action = [flags] { return remove_key(*flags); }; });
}

}  // namespace

void add_serve(CLI::App& root, Action& action) {
  CLI::App* command = root.add_subcommand("serve", "Serve a model: OpenAI API, feedback, console");
  command->footer(
      "With a workspace it serves the production version and takes up a new one without dropping a request.\n"
      "It listens on this machine only; for others it needs a key and --host.\n"
      "Examples:\n"
      "  volant serve examples/bilingual                   the workspace's model and its console\n"
      "  volant serve --model ~/models/tiny --port 9000    any Hugging Face folder or GGUF file\n"
      "  volant serve keys add laptop && volant serve --host 0.0.0.0");
  const auto flags = std::make_shared<ServeFlags>();
  command->add_option("workspace", flags->workspace, "Folder with volant.toml")->capture_default_str();
  command->add_option("--model", flags->model,
                      "Serve this instead: a folder, a .gguf file, a version or an alias");
  command->add_option(
      "--adapter", flags->adapters,
      "NAME=FOLDER of an adapter in PEFT's layout, served beside --model as \"NAME\"; several");
  command->add_option("--host", flags->host, "Address to listen on; default: 127.0.0.1");
  command->add_option("--port", flags->port, "Port; 0: any free one; default: 8080")
      ->check(CLI::Range(0, 65535));
  command->add_option("--n-slots", flags->n_slots, "Requests answered at once")->check(CLI::Range(1, 256));
  command->add_option("--ctx", flags->n_ctx, "Tokens that a request can hold; default: the model's")
      ->check(CLI::Range(16, 1 << 20));
  command->add_option("--kv", flags->kv, "Numbers of keys and values; default: f16")
      ->check(CLI::IsMember({"f32", "f16", "q8_0"}));
  command
      ->add_option("--kv-memory", flags->kv_memory_mb,
                   "MB for keys and values; 0, the default: what all slots take with full contexts")
      ->check(CLI::Range(0, 1 << 24));
  command->add_option(
      "--draft", flags->draft,
      "A smaller model with the same vocabulary that guesses next tokens; answers stay the same");
  command->add_flag("--no-guess", flags->no_guess, "Guess no next tokens from what stood in the text before");
  command->add_option("--threads", flags->n_threads, "Threads that compute; default: all cores")
      ->check(CLI::Range(0, 1024));
  command->add_option("--max-queue", flags->max_queue, "Requests that may wait; further ones are refused")
      ->check(CLI::Range(0, 100000));
  command
      ->add_option("--max-tokens", flags->max_tokens,
                   "Tokens of a chat answer when the request names no limit")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--drain-seconds", flags->drain_seconds, "How long what runs may go on after Ctrl-C")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_option("--keys", flags->key_file,
                      "Key file; default: .volant/keys.json of the workspace (of this folder with --model)");
  command->add_option("--log-level", flags->log_level, "debug shows every request")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  add_keys(*command, action);
  command->callback([command, flags, &action] {
    if (command->get_subcommands().empty()) action = [flags] { return serve(*flags); };
  });
}

}  // namespace volant::cli
