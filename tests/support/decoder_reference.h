// An independent reference of every decoder family: plain loops in double, driven by config.json, one
// sequence at a time, all positions. Written from the papers and the definitions of the architectures,
// without the product's code.
#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <vector>

#include "base/json.h"

namespace volant::testing {

class DecoderReference {
 public:
  using Tensors = std::map<std::string, std::vector<float>>;
  using Row = std::vector<double>;
  using Rows = std::vector<Row>;

  DecoderReference(const Json& config, const Tensors& tensors) : json_(config), tensors_(tensors) {
    type_ = std::string(config.at("model_type").as_string());
    is_gpt2_ = type_ == "gpt2";
    is_gemma_ = type_.starts_with("gemma");
    hidden_ = integer(is_gpt2_ ? "n_embd" : "hidden_size");
    heads_ = integer(is_gpt2_ ? "n_head" : "num_attention_heads");
    kv_heads_ = is_gpt2_ ? heads_ : integer("num_key_value_heads");
    head_dim_ = is_gpt2_ ? hidden_ / heads_ : integer("head_dim");
    layers_ = integer(is_gpt2_ ? "n_layer" : "num_hidden_layers");
    eps_ = number(is_gpt2_ ? "layer_norm_epsilon" : "rms_norm_eps", 0);
  }

  // Logits [positions, vocabulary].
  Rows logits(const std::vector<int32_t>& ids) const {
    Rows x;
    const std::string embed = is_gpt2_ ? "transformer.wte.weight" : "model.embed_tokens.weight";
    for (size_t t = 0; t < ids.size(); ++t) {
      Row row = row_of(embed, static_cast<size_t>(ids[t]));
      if (is_gpt2_) add(row, row_of("transformer.wpe.weight", t));
      if (is_gemma_)
        for (double& v : row) v *= std::sqrt(static_cast<double>(hidden_));
      x.push_back(row);
    }
    for (int layer = 0; layer < layers_; ++layer) is_gpt2_ ? gpt2_layer(layer, x) : llama_layer(layer, x);
    const bool tied = !tensors_.contains("lm_head.weight");
    for (Row& row : x) {
      row = is_gpt2_ ? layer_norm("transformer.ln_f", row) : rms_norm("model.norm.weight", row);
      row = times(tied ? embed : "lm_head.weight", row);
      if (const double cap = number("final_logit_softcapping", 0); cap > 0)
        for (double& v : row) v = cap * std::tanh(v / cap);
    }
    return x;
  }

 private:
  int integer(const char* name) const { return static_cast<int>(json_.at(name).as_int64()); }
  double number(const char* name, double other) const {
    const Json* value = json_find(json_, name);
    return value == nullptr ? other : value->to_number<double>();
  }
  const std::vector<float>& tensor(const std::string& name) const { return tensors_.at(name); }
  static void add(Row& a, const Row& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  }
  Row row_of(const std::string& name, size_t r) const {
    const auto n = static_cast<size_t>(hidden_);
    return {tensor(name).begin() + static_cast<std::ptrdiff_t>(r * n),
            tensor(name).begin() + static_cast<std::ptrdiff_t>((r + 1) * n)};
  }
  // W x, plus the bias when there is one.
  Row times(const std::string& name, const Row& x) const {
    const std::vector<float>& w = tensor(name);
    Row y(w.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o)
      for (size_t i = 0; i < x.size(); ++i) y[o] += static_cast<double>(w[o * x.size() + i]) * x[i];
    const auto b = tensors_.find(name.substr(0, name.rfind('.')) + ".bias");
    if (b != tensors_.end())
      for (size_t o = 0; o < y.size(); ++o) y[o] += static_cast<double>(b->second[o]);
    return y;
  }
  Row layer_norm(const std::string& name, const Row& x) const {
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
    Row y = x;
    for (size_t i = 0; i < x.size(); ++i)
      y[i] = (x[i] - mean) / std::sqrt(variance + eps_) * static_cast<double>(tensor(name + ".weight")[i]) +
             static_cast<double>(tensor(name + ".bias")[i]);
    return y;
  }
  Row rms_norm(const std::string& name, const Row& x) const {
    double squares = 0;
    for (const double v : x) squares += v * v / static_cast<double>(x.size());
    Row y = x;
    for (size_t i = 0; i < x.size(); ++i)
      y[i] =
          x[i] / std::sqrt(squares + eps_) * (static_cast<double>(tensor(name)[i]) + (is_gemma_ ? 1.0 : 0.0));
    return y;
  }
  // Piece `head` of a row of heads.
  Row head_of(const Row& row, int head) const {
    return {row.begin() + head * head_dim_, row.begin() + (head + 1) * head_dim_};
  }

  bool sees_window(int layer) const {
    if (type_ == "gemma2") return layer % 2 == 0;
    if (type_ == "gemma3_text") return layer % 6 != 5;
    return true;
  }

  double frequency(int i, int turned, int layer) const {
    const bool local = type_ == "gemma3_text" && sees_window(layer);
    const double theta = number(local ? "rope_local_base_freq" : "rope_theta", 0);
    const double freq = 1 / std::pow(theta, 2.0 * i / turned);
    const Json* scaling = json_find(json_, "rope_scaling");
    if (scaling == nullptr || local) return freq;
    const std::string type(scaling->at("rope_type").as_string());
    const double factor = scaling->at("factor").to_number<double>();
    if (type == "linear") return freq / factor;
    const double context = scaling->at("original_max_position_embeddings").to_number<double>();
    const double turns = context * freq / (2 * std::numbers::pi);
    if (type == "llama3") {
      const double low = scaling->at("low_freq_factor").to_number<double>(),
                   high = scaling->at("high_freq_factor").to_number<double>();
      const double kept = std::min(1.0, std::max(0.0, (turns - low) / (high - low)));
      return freq * kept + freq / factor * (1 - kept);
    }
    // YaRN: the dimensions that turn 32 times and once bound the ramp.
    const auto dimension = [&](double n) {
      return turned * std::log(context / (n * 2 * std::numbers::pi)) / (2 * std::log(theta));
    };
    const double from = std::max(0.0, std::floor(dimension(32))),
                 to = std::min(turned - 1.0, std::ceil(dimension(1)));
    const double ramp = std::min(1.0, std::max(0.0, (i - from) / std::max(0.001, to - from)));
    return freq * (1 - ramp) + freq / factor * ramp;
  }
  Row turned(const Row& head, int pos, int layer) const {
    const int n = static_cast<int>(head_dim_ * number("partial_rotary_factor", 1));
    const Json* scaling = json_find(json_, "rope_scaling");
    const bool yarn = scaling != nullptr && scaling->at("rope_type").as_string() == "yarn";
    const double size = yarn ? 0.1 * std::log(scaling->at("factor").to_number<double>()) + 1 : 1;
    Row out = head;
    for (int i = 0; i < n / 2; ++i) {
      const auto low = static_cast<size_t>(i), high = static_cast<size_t>(i + n / 2);
      const double angle = pos * frequency(i, n, layer);
      out[low] = size * (head[low] * std::cos(angle) - head[high] * std::sin(angle));
      out[high] = size * (head[high] * std::cos(angle) + head[low] * std::sin(angle));
    }
    return out;
  }

  // Rows of heads; `window` 0: all earlier positions.
  Rows attend(const Rows& q, const Rows& k, const Rows& v, double scale, double cap, int window) const {
    Rows out;
    for (int t = 0; t < static_cast<int>(q.size()); ++t) {
      Row mixed;
      for (int h = 0; h < heads_; ++h) {
        const Row query = head_of(q[static_cast<size_t>(t)], h);
        Row mean(static_cast<size_t>(head_dim_));
        double total = 0;
        for (int s = window > 0 ? std::max(0, t - window + 1) : 0; s <= t; ++s) {
          const int kv = h / (heads_ / kv_heads_);
          const Row key = head_of(k[static_cast<size_t>(s)], kv),
                    value = head_of(v[static_cast<size_t>(s)], kv);
          double score = 0;
          for (size_t i = 0; i < key.size(); ++i) score += query[i] * key[i] * scale;
          const double weight = std::exp(cap > 0 ? cap * std::tanh(score / cap) : score);
          total += weight;
          for (size_t i = 0; i < key.size(); ++i) mean[i] += weight * value[i];
        }
        for (const double x : mean) mixed.push_back(x / total);
      }
      out.push_back(mixed);
    }
    return out;
  }

  static double gelu_tanh(double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  }

  void gpt2_layer(int layer, Rows& x) const {
    const std::string prefix = "transformer.h." + std::to_string(layer) + ".";
    Rows q, k, v;
    for (const Row& row : x) {
      const Row qkv = times(prefix + "attn.c_attn.weight", layer_norm(prefix + "ln_1", row));
      q.emplace_back(qkv.begin(), qkv.begin() + hidden_);
      k.emplace_back(qkv.begin() + hidden_, qkv.begin() + 2 * hidden_);
      v.emplace_back(qkv.begin() + 2 * hidden_, qkv.end());
    }
    const Rows mixed = attend(q, k, v, 1 / std::sqrt(static_cast<double>(head_dim_)), 0, 0);
    for (size_t t = 0; t < x.size(); ++t) {
      add(x[t], times(prefix + "attn.c_proj.weight", mixed[t]));
      Row inner = times(prefix + "mlp.c_fc.weight", layer_norm(prefix + "ln_2", x[t]));
      for (double& v_inner : inner) v_inner = gelu_tanh(v_inner);
      add(x[t], times(prefix + "mlp.c_proj.weight", inner));
    }
  }

  // Heads of q or k: their norm, then their turn.
  Row prepared(const Row& row, int n, const std::string& norm_name, int pos, int layer) const {
    Row out;
    for (int h = 0; h < n; ++h) {
      Row head = head_of(row, h);
      if (tensors_.contains(norm_name)) head = rms_norm(norm_name, head);
      head = turned(head, pos, layer);
      out.insert(out.end(), head.begin(), head.end());
    }
    return out;
  }

  void llama_layer(int layer, Rows& x) const {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".", attn = prefix + "self_attn.";
    const bool fused = type_ == "phi3";
    const std::ptrdiff_t q_size = heads_ * head_dim_, kv_size = kv_heads_ * head_dim_;
    Rows q, k, v;
    for (size_t t = 0; t < x.size(); ++t) {
      const Row h = rms_norm(prefix + "input_layernorm.weight", x[t]);
      Row all;
      for (const char* name : {"q_proj.weight", "k_proj.weight", "v_proj.weight"}) {
        if (fused) continue;
        const Row part = times(attn + name, h);
        all.insert(all.end(), part.begin(), part.end());
      }
      if (fused) all = times(attn + "qkv_proj.weight", h);
      const int pos = static_cast<int>(t);
      q.push_back(prepared({all.begin(), all.begin() + q_size}, heads_, attn + "q_norm.weight", pos, layer));
      k.push_back(prepared({all.begin() + q_size, all.begin() + q_size + kv_size}, kv_heads_,
                           attn + "k_norm.weight", pos, layer));
      v.emplace_back(all.begin() + q_size + kv_size, all.end());
    }
    const double scalar = number("query_pre_attn_scalar", static_cast<double>(head_dim_));
    const int window = sees_window(layer) ? static_cast<int>(number("sliding_window", 0)) : 0;
    const Rows mixed = attend(q, k, v, 1 / std::sqrt(scalar), number("attn_logit_softcapping", 0), window);
    for (size_t t = 0; t < x.size(); ++t) {
      Row a = times(attn + "o_proj.weight", mixed[t]);
      if (is_gemma_) a = rms_norm(prefix + "post_attention_layernorm.weight", a);
      add(x[t], a);
      Row m = mlp(prefix, x[t]);
      if (is_gemma_) m = rms_norm(prefix + "post_feedforward_layernorm.weight", m);
      add(x[t], m);
    }
  }

  // silu(gate x) * (up x), then down: of an expert or of the one that all rows meet.
  Row gated(const std::string& prefix, const char* gate_name, const char* up_name, const char* down_name,
            const Row& h) const {
    Row gate = times(prefix + gate_name + ".weight", h);
    const Row up = times(prefix + up_name + ".weight", h);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
    return times(prefix + down_name + ".weight", gate);
  }

  // Softmax over all experts, the best k of it, shared out among them or not; the sum of what they give.
  Row experts(const std::string& prefix, const Row& h) const {
    const bool mixtral = type_ == "mixtral";
    const std::string block = prefix + (mixtral ? "block_sparse_moe." : "mlp.");
    Row p = times(block + "gate.weight", h);
    double total = 0;
    for (double& x : p) total += x = std::exp(x);
    for (double& x : p) x /= total;
    std::vector<size_t> chosen;
    double share = 0;
    for (int k = 0; k < integer("num_experts_per_tok"); ++k) {
      size_t best = p.size();
      for (size_t e = 0; e < p.size(); ++e) {
        const bool taken = std::find(chosen.begin(), chosen.end(), e) != chosen.end();
        if (!taken && (best == p.size() || p[e] > p[best])) best = e;
      }
      chosen.push_back(best);
      share += p[best];
    }
    const Json* norm = json_find(json_, "norm_topk_prob");
    if (!mixtral && (norm == nullptr || !norm->as_bool())) share = 1;
    Row sum(h.size());
    const auto add_part = [&](const Row& part, double weight) {
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * part[i];
    };
    for (const size_t e : chosen) {
      const std::string expert = block + "experts." + std::to_string(e) + ".";
      add_part(mixtral ? gated(expert, "w1", "w3", "w2", h)
                       : gated(expert, "gate_proj", "up_proj", "down_proj", h),
               p[e] / share);
    }
    if (tensors_.contains(block + "shared_expert_gate.weight"))
      add_part(gated(block + "shared_expert.", "gate_proj", "up_proj", "down_proj", h),
               1 / (1 + std::exp(-times(block + "shared_expert_gate.weight", h)[0])));
    return sum;
  }

  Row mlp(const std::string& prefix, const Row& x) const {
    const Row h = rms_norm(
        prefix + (is_gemma_ ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight"), x);
    if (json_find(json_, "num_experts_per_tok") != nullptr) return experts(prefix, h);
    Row gate, up;
    if (type_ == "phi3") {
      const Row both = times(prefix + "mlp.gate_up_proj.weight", h);
      gate.assign(both.begin(), both.begin() + static_cast<std::ptrdiff_t>(both.size() / 2));
      up.assign(both.begin() + static_cast<std::ptrdiff_t>(both.size() / 2), both.end());
    } else {
      gate = times(prefix + "mlp.gate_proj.weight", h);
      up = times(prefix + "mlp.up_proj.weight", h);
    }
    for (size_t i = 0; i < gate.size(); ++i)
      gate[i] = (is_gemma_ ? gelu_tanh(gate[i]) : gate[i] / (1 + std::exp(-gate[i]))) * up[i];
    return times(prefix + "mlp.down_proj.weight", gate);
  }

  const Json& json_;
  const Tensors& tensors_;
  std::string type_;
  bool is_gpt2_ = false, is_gemma_ = false;
  int hidden_ = 0, heads_ = 0, kv_heads_ = 0, head_dim_ = 0, layers_ = 0;
  double eps_ = 0;
};

}  // namespace volant::testing
