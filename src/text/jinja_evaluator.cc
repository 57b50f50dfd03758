#include "text/jinja_evaluator.h"

#include "text/jinja_evaluation.h"

namespace volant::jinja {
namespace {

constexpr int64_t kMaxSteps = 1'000'000;  // expressions and statements run
constexpr int64_t kMaxWork = 1LL << 30;   // bytes and items looked at
constexpr size_t kMaxOutputBytes = 64U << 20;
constexpr int kMaxDepth = 400;  // of statements, expressions and macros within each other

}  // namespace

Result<std::string> Evaluator::run(const Body& body) {
  std::string out;
  root_ = &out;
  Flow flow = Flow::kOn;
  TRY(run_body(body, out, flow));
  return out;
}

Status Evaluator::charge(int64_t work) {
  work_ += work;
  if (++steps_ > kMaxSteps || work_ > kMaxWork)
    return fail(ErrorCode::kLimit, "the template does too much work; it was stopped");
  if (depth_ > kMaxDepth) return fail(ErrorCode::kLimit, "the template nests too deep");
  return {};
}

Status Evaluator::write(std::string& out, std::string_view text) {
  written_ += text.size();
  if (written_ > kMaxOutputBytes)
    return fail(ErrorCode::kLimit, "the template writes more than {} bytes", kMaxOutputBytes);
  out.append(text);
  return {};
}

Error at_line(Error error, int line) {
  if (!error.message.starts_with("line ")) error.message = fmt::format("line {}: {}", line, error.message);
  return error;
}

Value Evaluator::lookup(const std::string& name) const {
  const Value key = Value::of(name);
  for (size_t i = scopes_.size() - 1;; i = scopes_[i].outer) {
    if (const Value* found = find(scopes_[i].values, key)) return *found;
    if (i == 0) break;
  }
  if (has_function(name)) return Value(Value::Data(Function{nullptr, name, 0}));
  return Value::undefined(name);
}

Status Evaluator::assign_all(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) {
    assign(names[0], value);
    return {};
  }
  const List items = TRY(items_of(value));
  if (items.size() != names.size())
    return fail(ErrorCode::kInvalidArgument, "expected {} values to unpack, got {}", names.size(),
                items.size());
  for (size_t i = 0; i < names.size(); ++i) assign(names[i], items[i]);
  return {};
}

void Evaluator::assign(const std::string& name, Value value) {
  put(scopes_.back().values, Value::of(name), std::move(value));
}

Result<std::string> render(const Body& body, const Dict& variables, Marks* marks) {
  return Evaluator(variables, marks).run(body);
}

}  // namespace volant::jinja
