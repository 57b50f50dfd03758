// The admin API: what the console shows and does with a workspace.
// Each call is a function from request to answer.
#pragma once
#include <string>

#include "server/http_exchange.h"
#include "server/improve_job.h"
#include "server/model_host.h"
#include "wheel/workspace.h"

namespace volant {

class AdminApi {
 public:
  AdminApi(Workspace& workspace, ModelHost& host, Path program);

  // `argument` is the part of the path that varies: a run, a version, an answer.
  HttpResponse status(const HttpRequest& request, const std::string& argument);
  HttpResponse runs(const HttpRequest& request, const std::string& argument);
  HttpResponse run_events(const HttpRequest& request, const std::string& argument);
  HttpResponse data(const HttpRequest& request, const std::string& argument);
  HttpResponse versions(const HttpRequest& request, const std::string& argument);
  HttpResponse promote(const HttpRequest& request, const std::string& argument);
  HttpResponse rollback(const HttpRequest& request, const std::string& argument);
  HttpResponse evaluation(const HttpRequest& request, const std::string& argument);
  HttpResponse feedback(const HttpRequest& request, const std::string& argument);
  HttpResponse add_feedback(const HttpRequest& request, const std::string& argument);
  HttpResponse start_improve(const HttpRequest& request, const std::string& argument);
  HttpResponse improve(const HttpRequest& request, const std::string& argument);
  HttpResponse trace(const HttpRequest& request, const std::string& argument);
  HttpResponse audit(const HttpRequest& request, const std::string& argument);

 private:
  Workspace& workspace_;
  ModelHost& host_;
  ImproveJob improve_;
};

}  // namespace volant
