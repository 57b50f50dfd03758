// A network (models/network.h) in plain loops and double precision, straight from its configuration: what it
// gives outside of training. PyTorch's definitions.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "models/model_config.h"

namespace volant::testing {

class NetworkReference {
 public:
  using Numbers = std::vector<double>;
  // A row: [channels, height, width], or [numbers, 1, 1].
  struct Row {
    int64_t channels = 0, height = 1, width = 1;
    Numbers x = {};
    double at(int64_t c, int64_t i, int64_t j) const {
      const bool inside = i >= 0 && j >= 0 && i < height && j < width;
      return inside ? x[static_cast<size_t>((c * height + i) * width + j)] : 0;
    }
  };
  using Rows = std::vector<Row>;  // of one sequence

  NetworkReference(const ModelConfig& config, const std::map<std::string, std::vector<float>>& tensors)
      : own_(std::get<NetworkFields>(config.own)), tensors_(tensors) {}

  // One input of numbers.
  Numbers output(const std::vector<float>& features) const {
    const auto& shape = own_.input_shape;
    Row row{shape[0], shape.size() == 3 ? shape[1] : 1, shape.size() == 3 ? shape[2] : 1, {}};
    row.x.assign(features.begin(), features.end());
    return head({row});
  }
  // One sequence of token ids.
  Numbers output(const std::vector<int32_t>& ids) const {
    const auto& w = tensor("layers.0.weight");
    const int64_t units = own_.layers[0].units;
    Rows rows;
    for (const int32_t id : ids) {
      const auto begin = w.begin() + id * units;
      rows.push_back({units, 1, 1, Numbers(begin, begin + units)});
    }
    return head(rows);
  }

 private:
  using Kind = NetworkLayer::Kind;

  const std::vector<float>& tensor(const std::string& name) const { return tensors_.at(name); }
  double number(const std::string& name, int64_t i) const {
    return static_cast<double>(tensor(name).at(static_cast<size_t>(i)));
  }

  Numbers head(Rows rows) const {
    rows = layers(own_.layers, "layers.", rows);
    return dense(rows.at(0), "head").x;
  }

  Rows layers(const std::vector<NetworkLayer>& list, const std::string& prefix, Rows rows) const {
    for (size_t i = 0; i < list.size(); ++i) rows = layer(list[i], prefix + std::to_string(i), rows);
    return rows;
  }

  template <class F>
  static Rows each(const Rows& rows, const F& f) {
    Rows out;
    for (const Row& row : rows) out.push_back(f(row));
    return out;
  }
  template <class F>
  static Row each_number(Row row, const F& f) {
    for (double& x : row.x) x = f(x);
    return row;
  }

  Rows layer(const NetworkLayer& l, const std::string& name, const Rows& rows) const {
    switch (l.kind) {
      case Kind::kDense:
        return each(rows, [&](const Row& r) { return dense(r, name); });
      case Kind::kConv:
        return each(rows, [&](const Row& r) {
          return conv(r, name, l.channels, l.kernel, l.stride == 0 ? 1 : l.stride, l.padding);
        });
      case Kind::kMaxPool:
      case Kind::kAveragePool:
        return each(rows, [&](const Row& r) { return pool(r, l); });
      case Kind::kBatchNorm:
        return each(rows, [&](const Row& r) { return batch_norm(r, name); });
      case Kind::kLayerNorm:
        return each(rows, [&](const Row& r) { return layer_norm(r, name); });
      case Kind::kRelu:
        return each(rows,
                    [](const Row& r) { return each_number(r, [](double x) { return x > 0 ? x : 0; }); });
      case Kind::kGelu:
        return each(rows, [](const Row& r) {
          return each_number(r, [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); });
        });
      case Kind::kTanh:
        return each(rows, [](const Row& r) { return each_number(r, [](double x) { return std::tanh(x); }); });
      case Kind::kFlatten:
        return each(rows, [](const Row& r) { return Row{static_cast<int64_t>(r.x.size()), 1, 1, r.x}; });
      case Kind::kDropout:
      case Kind::kEmbedding:  // done already
        return rows;
      case Kind::kResidual:
        return residual(l, name, rows);
      case Kind::kLstm:
      case Kind::kGru: {
        Rows forwards = recurrent(l, name, rows, false);
        if (!l.bidirectional) return forwards;
        const Rows backwards = recurrent(l, name, rows, true);
        for (size_t t = 0; t < rows.size(); ++t) {
          forwards[t].channels *= 2;
          forwards[t].x.insert(forwards[t].x.end(), backwards[t].x.begin(), backwards[t].x.end());
        }
        return forwards;
      }
      case Kind::kMeanRows:
      case Kind::kMaxRows:
      case Kind::kLastRow:
        return {to_one(l.kind, rows)};
    }
    return rows;
  }

  Row dense(const Row& r, const std::string& name) const {
    const auto n_out = static_cast<int64_t>(tensor(name + ".bias").size()),
               n_in = static_cast<int64_t>(r.x.size());
    Row y{n_out, 1, 1, Numbers(static_cast<size_t>(n_out))};
    for (int64_t o = 0; o < n_out; ++o) {
      double sum = number(name + ".bias", o);
      for (int64_t i = 0; i < n_in; ++i)
        sum += number(name + ".weight", o * n_in + i) * r.x[static_cast<size_t>(i)];
      y.x[static_cast<size_t>(o)] = sum;
    }
    return y;
  }

  Row conv(const Row& r, const std::string& name, int64_t channels, int64_t k, int64_t stride,
           int64_t pad) const {
    Row y{channels, (r.height + 2 * pad - k) / stride + 1, (r.width + 2 * pad - k) / stride + 1, {}};
    for (int64_t o = 0; o < channels; ++o)
      for (int64_t i = 0; i < y.height; ++i)
        for (int64_t j = 0; j < y.width; ++j) {
          double sum = number(name + ".bias", o);
          for (int64_t c = 0; c < r.channels; ++c)
            for (int64_t u = 0; u < k; ++u)
              for (int64_t v = 0; v < k; ++v)
                sum += number(name + ".weight", ((o * r.channels + c) * k + u) * k + v) *
                       r.at(c, i * stride + u - pad, j * stride + v - pad);
          y.x.push_back(sum);
        }
    return y;
  }

  static Row pool(const Row& r, const NetworkLayer& l) {
    const bool whole = l.size == 0;
    const int64_t size_y = whole ? r.height : l.size, size_x = whole ? r.width : l.size;
    const int64_t stride = whole ? 1 : l.stride == 0 ? l.size : l.stride;
    Row y{r.channels, (r.height - size_y) / stride + 1, (r.width - size_x) / stride + 1, {}};
    for (int64_t c = 0; c < r.channels; ++c)
      for (int64_t i = 0; i < y.height; ++i)
        for (int64_t j = 0; j < y.width; ++j) {
          double sum = 0, most = -1e300;
          for (int64_t u = 0; u < size_y; ++u)
            for (int64_t v = 0; v < size_x; ++v) {
              const double x = r.at(c, i * stride + u, j * stride + v);
              sum += x;
              most = x > most ? x : most;
            }
          y.x.push_back(l.kind == Kind::kMaxPool ? most : sum / static_cast<double>(size_y * size_x));
        }
    return y;
  }

  Row batch_norm(Row r, const std::string& name) const {
    const int64_t area = r.height * r.width;
    for (int64_t c = 0; c < r.channels; ++c)
      for (int64_t i = c * area; i < (c + 1) * area; ++i) {
        double& x = r.x[static_cast<size_t>(i)];
        x = (x - number(name + ".running_mean", c)) /
                std::sqrt(number(name + ".running_var", c) + own_.batch_norm_eps) *
                number(name + ".weight", c) +
            number(name + ".bias", c);
      }
    return r;
  }

  Row layer_norm(Row r, const std::string& name) const {
    const auto n = static_cast<double>(r.x.size());
    double mean = 0, variance = 0;
    for (const double x : r.x) mean += x / n;
    for (const double x : r.x) variance += (x - mean) * (x - mean) / n;
    for (size_t i = 0; i < r.x.size(); ++i)
      r.x[i] = (r.x[i] - mean) / std::sqrt(variance + own_.layer_norm_eps) *
                   number(name + ".weight", static_cast<int64_t>(i)) +
               number(name + ".bias", static_cast<int64_t>(i));
    return r;
  }

  Rows residual(const NetworkLayer& l, const std::string& name, const Rows& rows) const {
    Rows y = layers(l.layers, name + ".layers.", rows);
    for (size_t t = 0; t < rows.size(); ++t) {
      Row x = rows[t];
      if (tensors_.contains(name + ".projection.weight")) {
        const bool pictures = y[t].height * y[t].width > 1 ||
                              tensor(name + ".projection.weight").size() != y[t].x.size() * x.x.size();
        int64_t stride = 1;
        while (pictures &&
               ((x.height - 1) / stride + 1 != y[t].height || (x.width - 1) / stride + 1 != y[t].width))
          ++stride;
        x = pictures ? conv(x, name + ".projection", y[t].channels, 1, stride, 0)
                     : dense(x, name + ".projection");
      }
      for (size_t i = 0; i < x.x.size(); ++i) y[t].x[i] += x.x[i];
    }
    return y;
  }

  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  Rows recurrent(const NetworkLayer& l, const std::string& name, const Rows& rows, bool backwards) const {
    const std::string end = backwards ? "_l0_reverse" : "_l0";
    const int64_t n = l.units, n_in = static_cast<int64_t>(rows[0].x.size());
    Numbers h(static_cast<size_t>(n)), c(static_cast<size_t>(n));
    Rows out(rows.size());
    for (size_t step = 0; step < rows.size(); ++step) {
      const size_t t = backwards ? rows.size() - 1 - step : step;
      // The part of gate g of unit k from x or from h.
      const auto part = [&](const char* from, int64_t g, int64_t k, const Numbers& x, int64_t columns) {
        const int64_t row = g * n + k;
        double sum = number(name + ".bias_" + from + end, row);
        for (int64_t i = 0; i < columns; ++i)
          sum += number(name + ".weight_" + from + end, row * columns + i) * x[static_cast<size_t>(i)];
        return sum;
      };
      const Numbers before = h;
      for (int64_t k = 0; k < n; ++k) {
        const auto from_x = [&](int64_t g) { return part("ih", g, k, rows[t].x, n_in); };
        const auto from_h = [&](int64_t g) { return part("hh", g, k, before, n); };
        const auto at = static_cast<size_t>(k);
        if (l.kind == Kind::kLstm) {
          const double i = sigmoid(from_x(0) + from_h(0)), f = sigmoid(from_x(1) + from_h(1));
          const double g = std::tanh(from_x(2) + from_h(2)), o = sigmoid(from_x(3) + from_h(3));
          c[at] = f * c[at] + i * g;
          h[at] = o * std::tanh(c[at]);
        } else {
          const double r = sigmoid(from_x(0) + from_h(0)), z = sigmoid(from_x(1) + from_h(1));
          h[at] = (1 - z) * std::tanh(from_x(2) + r * from_h(2)) + z * before[at];
        }
      }
      out[t] = {n, 1, 1, h};
    }
    return out;
  }

  static Row to_one(Kind kind, const Rows& rows) {
    if (kind == Kind::kLastRow) return rows.back();
    Row y = rows[0];
    for (size_t t = 1; t < rows.size(); ++t)
      for (size_t i = 0; i < y.x.size(); ++i)
        y.x[i] = kind == Kind::kMaxRows ? std::max(y.x[i], rows[t].x[i]) : y.x[i] + rows[t].x[i];
    if (kind == Kind::kMeanRows)
      for (double& x : y.x) x /= static_cast<double>(rows.size());
    return y;
  }

  NetworkFields own_;
  std::map<std::string, std::vector<float>> tensors_;
};

}  // namespace volant::testing
