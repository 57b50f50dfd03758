#include "compress/export.h"

#include "compress/gguf_export.h"
#include "compress/hf_export.h"
#include "compress/parity.h"

namespace volant {
namespace {

// A file or folder that is removed again unless it was renamed into place.
struct Partial {
  Path path;
  ~Partial() { (void)volant::remove_all(path); }
};

Result<uint64_t> bytes_of(const Path& path) {
  std::error_code code;
  if (!std::filesystem::is_directory(path, code)) return volant::file_size(path);
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, code))
    if (entry.is_regular_file(code)) bytes += entry.file_size(code);
  return bytes;
}

Error refused(const ParityReport& report) {
  const ParityBound bound = parity_bound(DType::kF32);
  const std::string strict =
      report.format == "f32"
          ? fmt::format(
                ", logit error {:.2g} (at most {:.2g}), {:.2f} % of greedy choices the same "
                "(100 % needed)",
                report.max_logit_error, bound.max_logit_error, 100 * report.greedy_agreement)
          : "";
  return fail(ErrorCode::kRefused,
              "the {} model differs from the original: mean divergence {:.3g} nats (at most {:.3g}){}",
              report.format, report.mean_kl, report.max_mean_kl_allowed, strict);
}

// Both models stay open no longer than this. `checkpoint`: `model` with its adapter.
Result<ParityReport> check(const Path& model, const Checkpoint& checkpoint, const Path& exported,
                           const ExportOptions& options) {
  if (!checkpoint.config().is_decoder())
    return compare_outputs(checkpoint, TRY(Checkpoint::open(exported)), options.to,
                           options.parity_texts.empty() ? built_in_parity_texts() : options.parity_texts);
  const EngineOptions engine{.n_threads = 0, .n_slots = 1};
  EngineOptions with_adapter = engine;
  if (!options.adapter.empty()) with_adapter.adapters = {options.adapter};
  const std::unique_ptr<Engine> a = TRY(Engine::open(model, with_adapter)),
                                b = TRY(Engine::open(exported, engine));
  std::vector<std::string> texts = options.parity_texts;
  if (texts.empty()) {
    texts = built_in_parity_texts();
    if (options.to.name() != "f32") texts = TRY(best_foreseen_half(*a, texts));
  }
  return compare_models(*a, *b, options.to, texts, options.adapter.empty() ? 0 : 1);
}

}  // namespace

Result<ParityReport> export_model(const Path& model, const ExportOptions& options) {
  const bool gguf = options.out.extension() == ".gguf";
  const Path out = options.out.has_filename() ? options.out : options.out.parent_path();
  std::error_code ignored;
  if (out.empty()) return fail(ErrorCode::kInvalidArgument, "expected a name for the exported model");
  if (std::filesystem::is_directory(out, ignored) || (!gguf && std::filesystem::exists(out, ignored))) {
    return fail(ErrorCode::kAlreadyExists, "expected a new name, there is something already; remove it first")
        .at(out.string());
  }
  Checkpoint checkpoint = TRY(Checkpoint::open(model));
  if (!options.adapter.empty())
    TRY(checkpoint.merge(TRY(read_adapter(options.adapter, checkpoint.config()))));
  if (out.has_parent_path()) TRY(make_dirs(out.parent_path()));
  const Partial partial{partial_path(out)};
  WrittenTypes written;
  if (gguf) {
    Importance importance;
    if (!options.calibration_texts.empty() && options.to.quantised()) {
      importance = TRY(collect_importance(checkpoint, options.calibration_texts));
    }
    written = TRY(write_gguf_model(checkpoint, options.to, importance, out.stem().string(), partial.path));
  } else {
    TRY(write_hf_model(checkpoint, options.to.base(), partial.path));
  }
  ParityReport report = TRY(check(model, checkpoint, partial.path, options));
  report.tensors = std::move(written.tensors);
  report.notes = std::move(written.notes);
  report.bytes = TRY(bytes_of(partial.path));
  if (!report.passed) return refused(report).at(out.string());
  TRY(rename_into_place(partial.path, out));
  return report;
}

}  // namespace volant
