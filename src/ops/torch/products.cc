#include "ops/torch/products.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <tuple>
#include <utility>
#include <vector>

namespace volant::torch_ops {
namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

struct Machine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};
Machine& machine() {
  static Machine instance;
  return instance;
}

Type type_of(bool bf16) { return bf16 ? Type::bf16 : Type::f32; }

// C[m, n] = A[m, k] B[k, n], or +=. A and B may be given turned round.
struct Shape {
  int64_t m, n, k;
  bool bf16, out_bf16, a_turned, b_turned, b_packed, accumulate;
  auto operator<=>(const Shape&) const = default;  // NOLINT(modernize-use-nullptr): finds a 0 in the default
};

struct Product {
  dnnl::matmul::primitive_desc plan;
  dnnl::matmul run;
};

Product make_product(const Shape& s) {
  const memory::desc a({s.m, s.k}, type_of(s.bf16), s.a_turned ? Tag::ba : Tag::ab);
  const memory::desc b({s.k, s.n}, type_of(s.bf16), s.b_packed ? Tag::any : s.b_turned ? Tag::ba : Tag::ab);
  const memory::desc c({s.m, s.n}, type_of(s.out_bf16), Tag::ab);
  dnnl::primitive_attr attributes;
  if (s.accumulate) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    attributes.set_post_ops(after);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc plan(machine().engine, a, b, c, attributes);
#else
  const dnnl::matmul::primitive_desc plan(dnnl::matmul::desc(a, b, c), attributes, machine().engine);
#endif
  return {plan, dnnl::matmul(plan)};
}

// Products by shape. Trained models ask for few shapes; a run with many starts over.
Product& product(const Shape& shape) {
  static std::map<Shape, Product> products;
  const auto found = products.find(shape);
  if (found != products.end()) return found->second;
  if (products.size() >= 1024) products.clear();
  return products.emplace(shape, make_product(shape)).first->second;
}

void execute(Product& product, const void* a, const memory& b, void* c) {
  const Machine& on = machine();
  const memory a_memory(product.plan.src_desc(), on.engine, const_cast<void*>(a));
  const memory c_memory(product.plan.dst_desc(), on.engine, c);
  product.run.execute(on.stream, {{DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c_memory}});
}

// Memory that grows to the largest that is asked for. One product at a time.
class Scratch {
 public:
  void* room(size_t bytes) {
    if (bytes > size_) {
      constexpr size_t kPage = 4096;
      size_ = (bytes + kPage - 1) / kPage * kPage;
      data_.reset(std::aligned_alloc(kPage, size_));
      if (data_ == nullptr) throw std::bad_alloc();
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(void* data) const { std::free(data); }
  };
  std::unique_ptr<void, Free> data_;
  size_t size_ = 0;
};

// A layout in blocks: their sizes, which dimension each is of, and the steps between the outermost ones.
struct Blocks {
  std::vector<int64_t> sizes, dims_of, strides, dims;
};
// Empty for a layout of another kind.
Blocks blocks_of(const memory::desc& layout) {
#if DNNL_VERSION_MAJOR >= 3
  if (layout.get_format_kind() != memory::format_kind::blocked || layout.get_submemory_offset() != 0)
    return {};
  return {layout.get_inner_blks(), layout.get_inner_idxs(), layout.get_strides(), layout.get_dims()};
#else
  const auto& data = layout.data;
  const auto& blocks = data.format_desc.blocking;
  if (data.format_kind != dnnl_blocked || data.offset0 != 0 ||
      data.extra.flags != dnnl_memory_extra_flag_none)
    return {};
  return {{blocks.inner_blks, blocks.inner_blks + blocks.inner_nblks},
          {blocks.inner_idxs, blocks.inner_idxs + blocks.inner_nblks},
          {blocks.strides, blocks.strides + data.ndims},
          {data.dims, data.dims + data.ndims}};
#endif
}

// The width of the panels that `pack_panels` would have to make for this layout of bf16 weights; 0: another
// layout.
int64_t panel_width(const memory::desc& layout) {
  const Blocks blocks = blocks_of(layout);
#if DNNL_VERSION_MAJOR >= 3
  const Type type = layout.get_data_type();
#else
  const Type type = layout.data_type();
#endif
  if (type != Type::bf16 || blocks.dims_of != std::vector<int64_t>{0, 1, 0} || blocks.sizes[0] != 16 ||
      blocks.sizes[2] != 2)
    return 0;
  const int64_t width = blocks.sizes[1], deep = (blocks.dims[0] + 31) / 32;
  const bool as_ours = width % 16 == 0 && blocks.strides[0] == 32 * width &&
                       (blocks.strides[1] == deep * 32 * width || blocks.dims[1] <= width);
  return as_ours ? width : 0;
}

// The width of panels that wastes least on n columns.
int64_t pair_width(int64_t n) { return (n + 63) / 64 * 64 <= (n + 47) / 48 * 48 ? 64 : 48; }
memory::desc panels_of(int64_t rows, int64_t columns, int64_t width) {
  return {{(rows + 31) / 32 * 32 * ((columns + width - 1) / width * width)}, Type::bf16, Tag::a};
}

// Where weights kept in few bits are unpacked: grows to the largest of them. One product at a time.
void* unpacked(const StoredMatrix& matrix, bool bf16) {
  static Scratch scratch;
  void* numbers = scratch.room(static_cast<size_t>(matrix.n_out * matrix.n_in) * (bf16 ? 2 : 4));
  unpack(matrix, {numbers, bf16});
  return numbers;
}

}  // namespace

struct PackedWeight::State {
  struct Copy {
    memory packed;
    bool turned;
    int64_t width;  // of its panels; 0: only oneDNN knows the layout
    uint64_t version;

    PanelsOf panels() const { return {static_cast<uint16_t*>(packed.get_data_handle()), width}; }
  };
  StoredMatrix matrix;
  uint64_t version = 1;
  std::vector<Copy> copies;  // one for each layout in use: forward, backward

  // y = x B or += x B, where B is W^T [I, O] (turned) or W [O, I].
  void multiply(In x, int64_t rows, bool turned, Out y, bool add) {
    const bool keeps = matrix.dtype == DType::kF32;
    if (x.bf16 && finishes()) return multiply_pairs(x, rows, turned, {}, y, add);
    Product& p = product({.m = rows,
                          .n = columns(turned),
                          .k = inner(turned),
                          .bf16 = x.bf16,
                          .out_bf16 = y.bf16,
                          .a_turned = false,
                          .b_turned = turned,
                          .b_packed = keeps,
                          .accumulate = add});
    const memory::desc wanted = p.plan.weights_desc();
    if (keeps) return execute(p, x.data, packed(wanted, panel_width(wanted), turned), y.data);
    const bool as_it_is = matrix.dtype == DType::kBF16 && x.bf16;
    void* numbers = as_it_is ? const_cast<void*>(matrix.data) : unpacked(matrix, x.bf16);
    execute(p, x.data, memory(wanted, machine().engine, numbers), y.data);
  }

  bool finishes() const { return matrix.dtype == DType::kF32 && multiplies_pairs(); }

  void multiply_pairs(In x, int64_t rows, bool turned, const Finish& finish, Out y, bool add = false) {
    static Scratch scratch;
    const int64_t n = columns(turned), k = inner(turned), width = pair_width(n);
    const memory& b = packed(panels_of(k, n, width), width, turned);
    const bool needs_sums = k > kPairDepth && (y.bf16 || !finish.does_nothing());
    kernels().pair_product(
        {.a = x.data,
         .panels = static_cast<const uint16_t*>(b.get_data_handle()),
         .m = rows,
         .n = n,
         .k = k,
         .width = width,
         .c = y,
         .add = add,
         .finish = finish,
         .sums = needs_sums ? static_cast<float*>(scratch.room(static_cast<size_t>(rows * n) * sizeof(float)))
                            : nullptr});
  }

  // Of B.
  int64_t inner(bool turned) const { return turned ? matrix.n_in : matrix.n_out; }
  int64_t columns(bool turned) const { return turned ? matrix.n_out : matrix.n_in; }

  // B in the wanted layout: panels of `width` columns, or (0) one that only oneDNN knows.
  const memory& packed(const memory::desc& wanted, int64_t width, bool turned) {
    Copy* copy = nullptr;
    for (Copy& c : copies)
      if (c.turned == turned && c.packed.get_desc() == wanted) copy = &c;
    if (copy == nullptr) {
      copies.push_back({memory(wanted, machine().engine), turned, width, 0});
      copy = &copies.back();
    }
    if (copy->version != version) pack(*copy);
    return copy->packed;
  }

  // With the copy for the other direction, when there is one.
  void pack(Copy& copy) {
    copy.version = version;
    if (copy.width == 0) return reorder(copy);
    for (Copy& other : copies) {
      if (other.turned == copy.turned || other.width == 0 || other.version == version) continue;
      other.version = version;
      const Copy &forward = copy.turned ? copy : other, &backward = copy.turned ? other : copy;
      return kernels().pack_both(static_cast<const float*>(matrix.data), matrix.n_out, matrix.n_in,
                                 forward.panels(), backward.panels());
    }
    kernels().pack_panels({matrix.data, false}, copy.turned, inner(copy.turned), columns(copy.turned),
                          copy.width, copy.panels().data);
  }
  void reorder(Copy& copy) const {
    const memory::desc plain = copy.turned ? memory::desc({matrix.n_in, matrix.n_out}, Type::f32, Tag::ba)
                                           : memory::desc({matrix.n_out, matrix.n_in}, Type::f32, Tag::ab);
    memory from(plain, machine().engine, const_cast<void*>(matrix.data));
    dnnl::reorder(from, copy.packed).execute(machine().stream, from, copy.packed);
  }
};

PackedWeight::PackedWeight(const StoredMatrix& matrix)
    : state_(std::make_unique<State>(State{matrix, 1, {}})) {}
PackedWeight::~PackedWeight() = default;

void PackedWeight::changed() { ++state_->version; }
void PackedWeight::drop() { state_->copies.clear(); }
uint64_t PackedWeight::version() const { return state_->version; }

void PackedWeight::forward(In x, int64_t rows, Out y, bool add) { state_->multiply(x, rows, true, y, add); }
void PackedWeight::backward(In g, int64_t rows, Out grad_x, bool add) {
  state_->multiply(g, rows, false, grad_x, add);
}
bool PackedWeight::finishes() const { return state_->finishes(); }
void PackedWeight::forward(In x, int64_t rows, const Finish& finish, Out y) {
  state_->multiply_pairs(x, rows, true, finish, y);
}
void PackedWeight::backward(In g, int64_t rows, const Finish& finish, Out grad_x) {
  state_->multiply_pairs(g, rows, false, finish, grad_x);
}

uint64_t PackedWeight::packed_bytes() const {
  uint64_t bytes = 0;
  for (const State::Copy& copy : state_->copies) bytes += copy.packed.get_desc().get_size();
  return bytes;
}

namespace {

// The parts, of about one size and a multiple of `unit`, in which n are taken: as many as `most`.
int64_t part_of(int64_t n, int64_t most, int64_t unit) {
  const int64_t parts = (n + most - 1) / most;
  return std::min(n, ((n + parts - 1) / parts + unit - 1) / unit * unit);
}

void add_pair_gradient(In g, In x, int64_t rows, int64_t n_out, int64_t n_in, float* grad, float* grad_bias) {
  static Scratch scratch;
  void* panels = scratch.room(panels_of(std::min(rows, kPairRows), n_in, 48).get_size());
  kernels().pair_gradient(
      {g.data, x.data, rows, n_out, n_in, grad, grad_bias, static_cast<uint16_t*>(panels)});
}

// In bf16, with both factors laid out as oneDNN reads them fastest: g turned, x in panels, both by so many
// rows and outputs that they stay in the cache. False: not here.
bool add_packed_weight_gradient(In g, In x, int64_t rows, int64_t n_out, int64_t n_in, float* grad) {
  constexpr int64_t kRows = 1024, kTurned = 2 << 20;
  const int64_t rows_together = part_of(rows, kRows, 32);
  const int64_t together = part_of(n_out, std::max<int64_t>(64, kTurned / rows_together / 64 * 64), 64);
  const auto shape = [&](int64_t first_row, int64_t begin) {
    return Shape{.m = std::min(together, n_out - begin),
                 .n = n_in,
                 .k = std::min(rows_together, rows - first_row),
                 .bf16 = true,
                 .out_bf16 = false,
                 .a_turned = false,
                 .b_turned = false,
                 .b_packed = true,
                 .accumulate = true};
  };
  // Every part must have the layout of the others of its rows.
  for (const int64_t row : {int64_t{0}, (rows - 1) / rows_together * rows_together}) {
    const memory::desc layout = product(shape(row, 0)).plan.weights_desc();
    const int64_t last = (n_out - 1) / together * together;
    if (panel_width(layout) == 0 || product(shape(row, last)).plan.weights_desc() != layout) return false;
  }
  static Scratch panels, turned;
  for (int64_t row = 0; row < rows; row += rows_together) {
    const int64_t count = shape(row, 0).k;
    const memory::desc layout = product(shape(row, 0)).plan.weights_desc();
    const memory x_panels(layout, machine().engine, panels.room(layout.get_size()));
    kernels().pack_panels({static_cast<const uint16_t*>(x.data) + row * n_in, true}, false, count, n_in,
                          panel_width(layout), static_cast<uint16_t*>(x_panels.get_data_handle()));
    void* g_turned = turned.room(static_cast<size_t>(together * count) * sizeof(uint16_t));
    for (int64_t begin = 0; begin < n_out; begin += together) {
      const Shape part = shape(row, begin);
      kernels().turn(static_cast<const uint16_t*>(g.data) + row * n_out + begin, n_out, count, part.m,
                     g_turned);
      execute(product(part), g_turned, x_panels, grad + begin * n_in);
    }
  }
  return true;
}

}  // namespace

void add_weight_gradient(In g, In x, int64_t rows, int64_t n_out, int64_t n_in, float* grad,
                         float* grad_bias) {
  if (x.bf16 && multiplies_pairs()) return add_pair_gradient(g, x, rows, n_out, n_in, grad, grad_bias);
  if (grad_bias != nullptr) kernels().add_rows(g, rows, n_out, grad_bias);
  if (x.bf16 && add_packed_weight_gradient(g, x, rows, n_out, n_in, grad)) return;
  Product& p = product({.m = n_out,
                        .n = n_in,
                        .k = rows,
                        .bf16 = x.bf16,
                        .out_bf16 = false,
                        .a_turned = true,
                        .b_turned = false,
                        .b_packed = false,
                        .accumulate = true});
  const memory b(p.plan.weights_desc(), machine().engine, const_cast<void*>(x.data));
  execute(p, g.data, b, grad);
}

double measured_peak_flops(bool bf16) {
  constexpr int64_t kRows = 2048, kOut = 3072, kIn = 768;
  const std::vector<float> numbers(static_cast<size_t>(kRows * kOut), 0.0F);  // zeros in either type
  std::vector<float> y(static_cast<size_t>(kRows * kOut));
  PackedWeight weight({numbers.data(), DType::kF32, kOut, kIn});
  Product& peer = product({kRows, kOut, kIn, bf16, bf16, false, true, true, false});
  const memory factor(peer.plan.weights_desc(), machine().engine);
  std::memset(factor.get_data_handle(), 0, peer.plan.weights_desc().get_size());
  double best = 0;
  for (int i = 0; i < 24; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (i % 2 == 0)
      weight.forward({numbers.data(), bf16}, kRows, {y.data(), bf16});
    else
      execute(peer, numbers.data(), factor, y.data());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2.0 * static_cast<double>(kRows * kOut * kIn) / took.count());
  }
  return best;
}

}  // namespace volant::torch_ops
