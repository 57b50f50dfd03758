#include "server/admin_api.h"

#include <charconv>

#include "feedback/feedback.h"
#include "registry/audit.h"
#include "registry/lineage.h"
#include "registry/runs.h"
#include "registry/versions.h"
#include "server/api_error.h"
#include "wheel/status.h"

namespace volant {
namespace {

HttpResponse respond(const Result<Json>& result) {
  return result ? json_response(*result) : error_response(result.error());
}

// "?limit=20"; 1 to 1000.
Result<int64_t> limit_of(const HttpRequest& request, int64_t other) {
  const auto at = request.query.find("limit");
  if (at == request.query.end()) return other;
  const std::string& text = at->second;
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 1000) {
    return fail(ErrorCode::kInvalidArgument, "expected 'limit' from 1 to 1000").at("limit");
  }
  return limit;
}

template <class T>
Json list_of(const std::vector<T>& items) {
  JsonArray out;
  for (const T& item : items) out.push_back(to_json(item));
  return out;
}

// {"name": [...]} of a list that a room gives.
template <class T>
Result<Json> named_list(const char* name, const Result<std::vector<T>>& items) {
  if (!items) return items.error();
  return Json(JsonObject{{name, list_of(*items)}});
}

// The body of a request that may have none.
Result<Json> optional_body(const HttpRequest& request) {
  return request.body.empty() ? Result<Json>(Json(JsonObject())) : parse_json(request.body);
}

}  // namespace

AdminApi::AdminApi(Workspace& workspace, ModelHost& host, Path program)
    : workspace_(workspace), host_(host), improve_(workspace, std::move(program)) {}

HttpResponse AdminApi::status(const HttpRequest&, const std::string&) {
  Result<Json> status = wheel_status(workspace_);
  if (!status || !status->is_object()) return respond(status);
  const ServedModelPtr model = host_.current();
  const std::string trouble = host_.trouble();
  status->get_object()["serving"] = JsonObject{{"version", model ? Json(model->version) : Json(nullptr)},
                                               {"trouble", trouble.empty() ? Json(nullptr) : Json(trouble)}};
  return json_response(*status);
}

HttpResponse AdminApi::runs(const HttpRequest& request, const std::string&) {
  const Result<int64_t> limit = limit_of(request, 100);
  if (!limit) return error_response(limit.error());
  return respond(named_list("runs", list_runs(workspace_.registry(), *limit)));
}

HttpResponse AdminApi::run_events(const HttpRequest&, const std::string& id) {
  const Result<JsonArray> events = volant::run_events(workspace_.registry(), id);
  if (!events) return error_response(events.error());
  return json_response(JsonObject{{"events", *events}});
}

HttpResponse AdminApi::data(const HttpRequest&, const std::string&) {
  return respond(data_reports(workspace_));
}

HttpResponse AdminApi::versions(const HttpRequest&, const std::string&) {
  return respond(named_list("versions", list_versions(workspace_.registry())));
}

HttpResponse AdminApi::promote(const HttpRequest& request, const std::string& version) {
  const Result<Json> body = optional_body(request);
  if (!body) return error_response(body.error());
  const Result<std::string> reason = json_string_or(*body, "reason", "");
  if (!reason) return error_response(reason.error());
  const Result<ModelVersion> promoted = volant::promote(
      workspace_.registry(), version, {.actor = "api", .reason = reason->substr(0, 1000), .force = false});
  if (!promoted) return error_response(promoted.error());
  host_.poke();
  return json_response(to_json(*promoted));
}

HttpResponse AdminApi::rollback(const HttpRequest&, const std::string&) {
  const Result<ModelVersion> restored = volant::rollback(workspace_.registry(), "api");
  if (!restored) return error_response(restored.error());
  host_.poke();
  return json_response(to_json(*restored));
}

HttpResponse AdminApi::evaluation(const HttpRequest&, const std::string& version) {
  return respond(evaluation_report(workspace_, version));
}

HttpResponse AdminApi::feedback(const HttpRequest& request, const std::string&) {
  const Result<int64_t> limit = limit_of(request, 100);
  if (!limit) return error_response(limit.error());
  Result<Json> list = named_list("feedback", list_feedback(workspace_.registry(), *limit));
  const Result<FeedbackCounts> counts = count_feedback(workspace_.registry());
  if (!list || !counts) return list ? error_response(counts.error()) : error_response(list.error());
  list->get_object()["counts"] = JsonObject{{"total", counts->total},
                                            {"up", counts->up},
                                            {"down", counts->down},
                                            {"corrections", counts->corrections},
                                            {"new_corrections", counts->new_corrections}};
  return json_response(*list);
}

HttpResponse AdminApi::add_feedback(const HttpRequest& request, const std::string&) {
  const Result<Json> body = parse_json(request.body);
  if (!body) return error_response(body.error());
  const Result<NewFeedback> parsed = parse_feedback(*body);
  if (!parsed) return error_response(parsed.error());
  const Result<Feedback> stored = volant::add_feedback(workspace_.registry(), *parsed);
  if (!stored) return error_response(stored.error());
  return json_response(to_json(*stored));
}

HttpResponse AdminApi::start_improve(const HttpRequest&, const std::string&) {
  if (const Status started = improve_.start(); !started) return error_response(started.error());
  return json_response(JsonObject{{"state", "running"}, {"log", JsonArray()}, {"result", JsonObject()}}, 202);
}

HttpResponse AdminApi::improve(const HttpRequest&, const std::string&) { return respond(improve_.status()); }

HttpResponse AdminApi::trace(const HttpRequest&, const std::string& id) {
  return respond(volant::trace(workspace_.registry(), id));
}

HttpResponse AdminApi::audit(const HttpRequest& request, const std::string&) {
  const Result<int64_t> limit = limit_of(request, 100);
  if (!limit) return error_response(limit.error());
  Result<Json> list = named_list("audit", list_audit(workspace_.registry(), *limit));
  if (!list) return error_response(list.error());
  const Result<int64_t> verified = verify_audit(workspace_.registry());
  list->get_object()["intact"] = verified.has_value();
  if (!verified) list->get_object()["damage"] = verified.error().to_string();
  return json_response(*list);
}

}  // namespace volant
