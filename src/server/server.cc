#include "server/server.h"

#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/version.h"
#include "server/admin_api.h"
#include "server/api_error.h"
#include "server/completion.h"
#include "server/console.h"
#include "server/embeddings.h"
#include "server/metrics.h"
#include "server/openai_request.h"
#include "server/predictions.h"

namespace volant {
namespace {

// "/api/runs/{}/events" against a path; `argument` gets what stands for {} (one segment, not empty).
bool matches(std::string_view pattern, std::string_view path, std::string& argument) {
  const size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return pattern == path;
  const std::string_view before = pattern.substr(0, hole), after = pattern.substr(hole + 2);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after))
    return false;
  const std::string_view middle = path.substr(before.size(), path.size() - before.size() - after.size());
  if (middle.find('/') != std::string_view::npos) return false;
  argument = middle;
  return true;
}

// The owner of a key may be asked for it wherever the server can be reached from.
Status check_address(const ServerOptions& options, const KeyStore& keys) {
  if (is_loopback_address(options.http.host) || keys.required()) return {};
  return fail(
      ErrorCode::kForbidden,
      "refusing to listen on {} without a key: anybody on the network could use this server. Make one with "
      "'volant serve keys add NAME', or stay on --host 127.0.0.1",
      options.http.host);
}

}  // namespace

class Server::Impl {
 public:
  Impl(const ServerOptions& options, Workspace* workspace)
      : options_(options), workspace_(workspace), keys_(options.key_file), guard_(keys_, options.guard) {}

  ~Impl() { drain(); }

  Status start() {
    TRY(check_address(options_, keys_));
    host_ = TRY(ModelHost::open(options_.models, workspace_, options_.model));
    if (workspace_ != nullptr) admin_.emplace(*workspace_, *host_, options_.program);
    add_routes();
    http_ = TRY(HttpServer::start(
        options_.http, [this](const HttpExchangePtr& exchange) { handle(exchange); },
        [this](const HttpExchange& exchange, int status, double seconds) {
          done(exchange, status, seconds);
        }));
    return {};
  }

  int port() const { return http_->port(); }
  ModelHost& models() { return *host_; }
  std::string serving() const {
    const ServedModelPtr model = host_->current();
    if (!model) return {};
    return model->registered ? model->name + " " + model->version : model->name;
  }

  bool drain() {
    if (!http_) return true;
    const bool clean = http_->drain(options_.drain_seconds);
    admin_.reset();  // a running improve ends
    host_.reset();   // waits for what still holds a model
    http_.reset();
    return clean;
  }

 private:
  using Call = std::function<HttpResponse(const HttpRequest&, const std::string& argument)>;
  struct Route {
    std::string method, pattern;
    Access access;
    Call call;                                          // answers at once, or
    std::function<void(const HttpExchangePtr&)> start;  // answers later
  };

  void add(std::string method, std::string pattern, Access access, Call call) {
    routes_.push_back({std::move(method), std::move(pattern), access, std::move(call), {}});
  }

  void add_routes() {
    add("GET", "/healthz", Access::kPublic, [this](auto&, auto&) { return health(); });
    add("GET", "/metrics", Access::kModels, [this](auto&, auto&) { return metrics(); });
    add("GET", "/v1/models", Access::kModels, [this](auto&, auto&) { return list_models(); });
    add("GET", "/v1/models/{}", Access::kModels, [this](auto&, auto& name) { return one_model(name); });
    routes_.push_back(
        {"POST", "/v1/chat/completions", Access::kModels, {}, [this](auto& e) { completion(e, true); }});
    routes_.push_back(
        {"POST", "/v1/completions", Access::kModels, {}, [this](auto& e) { completion(e, false); }});
    add("POST", "/v1/embeddings", Access::kModels,
        [this](auto& request, auto&) { return embeddings(request); });
    add("POST", "/v1/predictions", Access::kModels,
        [this](auto& request, auto&) { return predictions(request); });
    add("GET", "/v1/task", Access::kModels, [this](auto&, auto&) {
      const Result<ServedModelPtr> model = host_->find("production");
      return model ? task_response(**model) : model_error(model.error());
    });
    using Member = HttpResponse (AdminApi::*)(const HttpRequest&, const std::string&);
    const auto admin = [this](const char* method, const char* pattern, Access access, Member member) {
      add(method, pattern, access, [this, member](const HttpRequest& request, const std::string& argument) {
        if (!admin_) {
          return error_response(
              404, "no_workspace",
              "this server serves a model without a workspace; start it with 'volant serve WORKSPACE'");
        }
        return ((*admin_).*member)(request, argument);
      });
    };
    admin("POST", "/v1/feedback", Access::kModels, &AdminApi::add_feedback);
    admin("GET", "/api/status", Access::kAdmin, &AdminApi::status);
    admin("GET", "/api/runs", Access::kAdmin, &AdminApi::runs);
    admin("GET", "/api/runs/{}/events", Access::kAdmin, &AdminApi::run_events);
    admin("GET", "/api/data", Access::kAdmin, &AdminApi::data);
    admin("GET", "/api/versions", Access::kAdmin, &AdminApi::versions);
    admin("POST", "/api/versions/{}/promote", Access::kAdmin, &AdminApi::promote);
    admin("POST", "/api/rollback", Access::kAdmin, &AdminApi::rollback);
    admin("GET", "/api/evaluation/{}", Access::kAdmin, &AdminApi::evaluation);
    admin("GET", "/api/feedback", Access::kAdmin, &AdminApi::feedback);
    admin("POST", "/api/improve", Access::kAdmin, &AdminApi::start_improve);
    admin("GET", "/api/improve", Access::kAdmin, &AdminApi::improve);
    admin("GET", "/api/trace/{}", Access::kAdmin, &AdminApi::trace);
    admin("GET", "/api/audit", Access::kAdmin, &AdminApi::audit);
  }

  // On a worker thread.
  void handle(const HttpExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    std::string argument, allowed;
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    for (const Route& route : routes_) {
      if (!matches(route.pattern, request.path, argument)) continue;
      exchange->set_route(route.pattern);
      if (route.method != method) {
        allowed += (allowed.empty() ? "" : ", ") + route.method;
        continue;
      }
      if (auto refused = guard_.refuse(request, route.access)) return send(exchange, std::move(*refused));
      return route.call ? send(exchange, route.call(request, argument)) : route.start(exchange);
    }
    if (!allowed.empty()) {
      HttpResponse response =
          error_response(405, "method_not_allowed", "expected " + allowed + " for " + request.path);
      response.headers.emplace_back("Allow", allowed);
      return send(exchange, std::move(response));
    }
    exchange->set_route("console");
    if (auto refused = guard_.refuse(request, Access::kPublic)) return send(exchange, std::move(*refused));
    if (auto file = console_response(request)) return send(exchange, std::move(*file));
    exchange->set_route("unknown");
    send(exchange, error_response(404, "not_found",
                                  fmt::format("there is no {} {} here", request.method.substr(0, 16),
                                              request.path.substr(0, 128))));
  }

  static void send(const HttpExchangePtr& exchange, HttpResponse response) {
    exchange->send(std::move(response));
  }

  void completion(const HttpExchangePtr& exchange, bool chat) {
    const auto body = parse_json(exchange->request().body);
    if (!body) return send(exchange, error_response(body.error()));
    Result<CompletionRequest> parsed = chat ? parse_chat_request(*body) : parse_completion_request(*body);
    if (!parsed) return send(exchange, error_response(parsed.error()));
    const Result<ServedModelPtr> model = host_->find(parsed->model);
    if (!model) return send(exchange, model_error(model.error()));
    const CompletionContext context{
        .registry = workspace_ == nullptr ? nullptr : &workspace_->registry(),
        .metrics = &metrics_,
        .post = [workers = http_->workers()](std::function<void()> task) { workers->post(std::move(task)); },
        .max_tokens = options_.max_tokens};
    complete(context, exchange, std::move(*parsed), *model);
  }

  HttpResponse embeddings(const HttpRequest& request) {
    const auto body = parse_json(request.body);
    if (!body) return error_response(body.error());
    const Result<EmbeddingsRequest> parsed = parse_embeddings_request(*body);
    if (!parsed) return error_response(parsed.error());
    const Result<ServedModelPtr> model = host_->find(parsed->model);
    return model ? embeddings_response(*parsed, **model) : model_error(model.error());
  }

  HttpResponse predictions(const HttpRequest& request) {
    const auto body = parse_json(request.body);
    if (!body) return error_response(body.error());
    const Result<PredictionsRequest> parsed = parse_predictions_request(*body);
    if (!parsed) return error_response(parsed.error());
    const Result<ServedModelPtr> model = host_->find(parsed->model);
    if (!model) return model_error(model.error());
    return predictions_response(*parsed, **model, workspace_ == nullptr ? nullptr : &workspace_->registry());
  }

  static HttpResponse model_error(const Error& error) {
    if (error.code == ErrorCode::kNotFound)
      return error_response(404, "model_not_found", error.message, "model");
    return error_response(error);
  }

  HttpResponse list_models() {
    Result<JsonArray> models = host_->list();
    if (!models) return error_response(models.error());
    return json_response(JsonObject{{"object", "list"}, {"data", std::move(*models)}});
  }

  HttpResponse one_model(const std::string& name) {
    const Result<JsonArray> models = host_->list();
    if (!models) return error_response(models.error());
    for (const Json& model : *models) {
      const std::string id = json_string_or(model, "id", "").value_or("");
      if (id == name || id.ends_with(":" + name)) return json_response(model);  // of an adapter
    }
    return model_error(host_->unknown(name));
  }

  HttpResponse health() {
    const ServedModelPtr model = host_->current();
    const std::string trouble = host_->trouble();
    return json_response(
        JsonObject{{"status", model ? "ok" : "no model"},
                   {"model", model ? Json(model->version) : Json(nullptr)},
                   {"trouble", trouble.empty() ? Json(nullptr) : Json("see the server's log")},
                   {"version", version()}},
        model ? 200 : 503);
  }

  HttpResponse metrics() {
    std::vector<Metrics::Gauge> gauges = {
        {"volant_http_connections", "Open connections", "", static_cast<double>(http_->connections())},
        {"volant_http_waiting", "Requests without a worker yet", "", static_cast<double>(http_->waiting())},
        {"volant_resident_bytes", "Memory of the server", "", static_cast<double>(resident_bytes())},
        {"volant_uptime_seconds", "Since the start of the server", "", steady_seconds() - started_},
        {"volant_model_swaps", "Models replaced without a stop", "", static_cast<double>(host_->swaps())},
        {"volant_model_trouble", "1 when the newest production version could not be loaded", "",
         host_->trouble().empty() ? 0.0 : 1.0}};
    if (const ServedModelPtr model = host_->current()) {
      const EngineStats stats = model->engine ? model->engine->stats() : EngineStats();
      gauges.push_back(
          {"volant_requests_active", "Requests that the model works on", "", double(stats.active)});
      gauges.push_back(
          {"volant_requests_waiting", "Requests that wait for a slot", "", double(stats.waiting)});
      gauges.push_back(
          {"volant_kv_pages", "Pages of the key/value cache, of 64 tokens", "", double(stats.kv_pages)});
      gauges.push_back(
          {"volant_kv_pages_held", "Pages that requests hold which run", "", double(stats.kv_pages_held)});
      gauges.push_back({"volant_prompt_tokens_shared", "Tokens of prompts that stood in the cache already",
                        "", double(stats.shared_tokens)});
      gauges.push_back({"volant_model_steps", "Passes of the model", "", double(stats.steps)});
      gauges.push_back({"volant_guessed_tokens", "Next tokens that were guessed before they were computed",
                        "", double(stats.guessed_tokens)});
      gauges.push_back(
          {"volant_right_guesses", "Guessed tokens that were right", "", double(stats.right_guesses)});
      gauges.push_back({"volant_preemptions", "Requests put back because the pages ran out", "",
                        double(stats.preemptions)});
      gauges.push_back({"volant_model_info", "The model that is served",
                        fmt::format("name=\"{}\",version=\"{}\",dtype=\"{}\"", prometheus_escape(model->name),
                                    prometheus_escape(model->version), prometheus_escape(model->dtype)),
                        1});
    }
    return {.status = 200,
            .headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"},
                        {"Cache-Control", "no-store"}},
            .body = metrics_.text(gauges),
            .fixed_body = {}};
  }

  // On the network thread.
  void done(const HttpExchange& exchange, int status, double seconds) {
    const std::string route = exchange.route();
    const HttpRequest& request = exchange.request();
    const bool known = request.method == "GET" || request.method == "POST" || request.method == "HEAD";
    metrics_.count_request(route.empty() ? "unknown" : route, known ? request.method : "other", status,
                           seconds);
    log_debug("{} {} {} {:.1f} ms", request.method, request.path, status, seconds * 1000);
  }

  const ServerOptions options_;
  Workspace* const workspace_;
  KeyStore keys_;
  Guard guard_;
  Metrics metrics_;
  const double started_ = steady_seconds();
  std::unique_ptr<ModelHost> host_;
  std::optional<AdminApi> admin_;
  std::vector<Route> routes_;
  std::unique_ptr<HttpServer> http_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, Workspace* workspace) {
  auto impl = std::make_unique<Impl>(options, workspace);
  TRY(impl->start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::port() const { return impl_->port(); }
std::string Server::serving() const { return impl_->serving(); }
ModelHost& Server::models() { return impl_->models(); }
bool Server::drain() { return impl_->drain(); }

bool Server::run() {
  wait_for_stop();
  return drain();
}

}  // namespace volant
