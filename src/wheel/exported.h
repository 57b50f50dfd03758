// A trained folder in the formats of [compress],
// each with its parity report, and the scores of the one that is served.
#pragma once
#include <string>
#include <vector>

#include "compress/export.h"
#include "eval/language_model.h"
#include "wheel/config.h"

namespace volant {

struct ExportedModel {
  struct File {
    std::string format;
    Path path;
  };
  std::vector<File> files;            // in the order of the config; the first one is served
  Json parity;                        // the served format's report, with "f32" and "others"
  std::vector<DocumentScore> scores;  // of the served file on `documents`
  double bits_per_byte = 0;
};

// Writes into `folder`. The full-precision export is always checked, kept or not: kRefused when it differs.
Result<ExportedModel> export_formats(const Path& hf, const CompressSection& config,
                                     const std::vector<EvalDocument>& documents, const Path& folder,
                                     const std::string& name);

}  // namespace volant
