// Where the wheel stands:
// the object of `volant status --json` and the reports that the console shows. Reads only.
#pragma once
#include "base/json.h"
#include "wheel/workspace.h"

namespace volant {

// {"workspace":{"name","path"},"production":{"version","created_at","metrics"}|null,"candidate":...,
//  "stations":[{"name","state","detail","updated_at","seconds"}...]}; names collect prepare train evaluate
//  compress deploy
// listen improve; state fresh | stale | missing | running | failed.
Result<Json> wheel_status(Workspace& workspace);
// {"collect":report|null,"prepare":report|null,"tokenizer":report|null}
Result<Json> data_reports(Workspace& workspace);
// The JSON evaluation report of a version ("v3" or an alias). kNotFound when it has none.
Result<Json> evaluation_report(Workspace& workspace, const std::string& version);
// {"state":"idle|running|done|failed","log":[...],"result":{...}} of the last `volant improve`.
Result<Json> improve_status(Workspace& workspace);

}  // namespace volant
