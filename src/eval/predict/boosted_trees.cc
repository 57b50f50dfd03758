#include "eval/predict/boosted_trees.h"

#include <fmt/format.h>
#include <xgboost/c_api.h>

#include <limits>
#include <string>

#include "io/shared_library.h"

namespace volant {
namespace {

constexpr int kRounds = 200;

struct XgBoost {
  SharedLibrary library{"libxgboost.so.0"};
  decltype(&XGBGetLastError) last_error = nullptr;
  decltype(&XGDMatrixCreateFromMat) matrix_create = nullptr;
  decltype(&XGDMatrixSetFloatInfo) matrix_set = nullptr;
  decltype(&XGDMatrixFree) matrix_free = nullptr;
  decltype(&XGBoosterCreate) booster_create = nullptr;
  decltype(&XGBoosterFree) booster_free = nullptr;
  decltype(&XGBoosterSetParam) booster_set = nullptr;
  decltype(&XGBoosterUpdateOneIter) booster_update = nullptr;
  decltype(&XGBoosterPredict) booster_predict = nullptr;

  XgBoost() {
    library.find(last_error, "XGBGetLastError");
    library.find(matrix_create, "XGDMatrixCreateFromMat");
    library.find(matrix_set, "XGDMatrixSetFloatInfo");
    library.find(matrix_free, "XGDMatrixFree");
    library.find(booster_create, "XGBoosterCreate");
    library.find(booster_free, "XGBoosterFree");
    library.find(booster_set, "XGBoosterSetParam");
    library.find(booster_update, "XGBoosterUpdateOneIter");
    library.find(booster_predict, "XGBoosterPredict");
  }
  Status check(int code) const {
    if (code == 0) return {};
    return fail(ErrorCode::kInternal, "XGBoost: {}", last_error());
  }
};

const XgBoost& xgboost() {
  static const XgBoost library;
  return library;
}

struct Matrix {
  DMatrixHandle handle = nullptr;
  ~Matrix() {
    if (handle != nullptr) xgboost().matrix_free(handle);
  }
  Status fill(const DenseRows& rows) {
    return xgboost().check(xgboost().matrix_create(rows.features.data(), rows.rows(),
                                                   static_cast<bst_ulong>(rows.columns),
                                                   std::numeric_limits<float>::quiet_NaN(), &handle));
  }
};

struct Booster {
  BoosterHandle handle = nullptr;
  ~Booster() {
    if (handle != nullptr) xgboost().booster_free(handle);
  }
  Status set(const char* name, const std::string& value) {
    return xgboost().check(xgboost().booster_set(handle, name, value.c_str()));
  }
};

const char* objective_of(Problem problem) {
  switch (problem) {
    case Problem::kNumber:
      return "reg:squarederror";
    case Problem::kBinary:
      return "binary:logistic";
    case Problem::kClasses:
      break;
  }
  return "multi:softprob";
}

Status set_up(Booster& booster, Problem problem, int n_classes, int n_threads) {
  TRY(booster.set("objective", objective_of(problem)));
  if (problem == Problem::kClasses) TRY(booster.set("num_class", std::to_string(n_classes)));
  TRY(booster.set("tree_method", "hist"));
  TRY(booster.set("eta", "0.1"));
  TRY(booster.set("max_depth", "6"));
  TRY(booster.set("seed", "1"));
  TRY(booster.set("verbosity", "0"));
  return n_threads > 0 ? booster.set("nthread", std::to_string(n_threads)) : Status();
}

}  // namespace

Result<std::vector<double>> boosted_trees(const DenseRows& train, std::span<const float> targets,
                                          Problem problem, int n_classes, const DenseRows& test,
                                          int n_threads) {
  const XgBoost& library = xgboost();
  if (!library.library.present())
    return fail(ErrorCode::kUnavailable, "XGBoost is not installed (libxgboost0)");
  if (train.rows() == 0 || train.rows() != targets.size() || test.columns != train.columns)
    return fail(ErrorCode::kInvalidArgument, "expected a target for each of {} rows of {} numbers",
                train.rows(), train.columns);
  Matrix learned, asked;
  TRY(learned.fill(train));
  TRY(asked.fill(test));
  TRY(library.check(library.matrix_set(learned.handle, "label", targets.data(), targets.size())));
  Booster booster;
  TRY(library.check(library.booster_create(&learned.handle, 1, &booster.handle)));
  TRY(set_up(booster, problem, n_classes, n_threads));
  for (int round = 0; round < kRounds; ++round)
    TRY(library.check(library.booster_update(booster.handle, round, learned.handle)));
  bst_ulong n = 0;
  const float* values = nullptr;
  TRY(library.check(library.booster_predict(booster.handle, asked.handle, 0, 0, 0, &n, &values)));
  std::vector<double> predicted;
  predicted.reserve(n * (problem == Problem::kBinary ? 2 : 1));
  for (bst_ulong i = 0; i < n; ++i) {
    const auto value = static_cast<double>(values[i]);
    if (problem == Problem::kBinary) predicted.push_back(1 - value);
    predicted.push_back(value);
  }
  return predicted;
}

}  // namespace volant
