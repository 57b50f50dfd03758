// What the statements of a template do: output, conditions, loops, assignments, blocks.
#include "text/jinja_evaluation.h"
#include "text/jinja_nesting.h"

namespace volant::jinja {

Status Evaluator::run_body(const Body& body, std::string& out, Flow& flow) {
  const Level level(depth_);
  for (const auto& statement : body) {
    Status status = charge(1);
    if (status) status = run_one(*statement, out, flow);
    if (!status) return at_line(std::move(status).error(), statement->line);
    if (flow != Flow::kOn) break;
  }
  return {};
}

Status Evaluator::run_one(const Statement& s, std::string& out, Flow& flow) {
  switch (s.kind) {
    case Statement::Kind::kText:
      return write(out, s.name);
    case Statement::Kind::kPrint:
      return write(out, TRY(eval(*s.expr)).print());
    case Statement::Kind::kIf:
      for (const auto& [condition, body] : s.branches)
        if (condition == nullptr || TRY(eval(*condition)).truth()) return run_body(body, out, flow);
      return {};
    case Statement::Kind::kFor:
      return run_for(s, out, flow);
    case Statement::Kind::kSet:
      return run_set(s);
    case Statement::Kind::kSetBlock: {
      std::string text;
      TRY(run_body(s.body, text, flow));
      assign(s.names[0], TRY(filter_text(s, std::move(text))));
      return {};
    }
    case Statement::Kind::kMacro:
      assign(s.macro->name, Value(Value::Data(Function{s.macro.get(), "", 0})));
      return {};
    case Statement::Kind::kCallBlock: {
      Arguments arguments = TRY(eval_arguments(*s.expr));
      const Value function = TRY(eval(*s.expr->args[0]));
      const Value caller(Value::Data(Function{s.macro.get(), "", scopes_.size() - 1}));
      return write(out, TRY(call(function, arguments, &caller)).print());
    }
    case Statement::Kind::kFilterBlock: {
      std::string text;
      const Scope scope(scopes_);
      TRY(run_body(s.body, text, flow));
      return write(out, TRY(filter_text(s, std::move(text))).print());
    }
    case Statement::Kind::kBreak:
      flow = Flow::kBreak;
      return {};
    case Statement::Kind::kContinue:
      flow = Flow::kContinue;
      return {};
    case Statement::Kind::kScope: {
      std::vector<Value> values;
      for (const ExprPtr& expr : s.values) values.push_back(TRY(eval(*expr)));
      const Scope scope(scopes_);
      for (size_t i = 0; i < values.size(); ++i) assign(s.names[i], values[i]);
      return run_body(s.body, out, flow);
    }
    case Statement::Kind::kGeneration:
      return run_generation(s, out, flow);
  }
  return {};
}

Status Evaluator::run_generation(const Statement& s, std::string& out, Flow& flow) {
  if (marks_ == nullptr) return run_body(s.body, out, flow);
  if (&out != root_ || in_generation_)
    return fail(ErrorCode::kUnsupported,
                "statement 'generation' is not supported inside a macro, a set, filter or call block or "
                "another 'generation'");
  const size_t begin = out.size();
  in_generation_ = true;
  Status status = run_body(s.body, out, flow);
  in_generation_ = false;
  marks_->emplace_back(begin, out.size());
  return status;
}

Result<Value> Evaluator::filter_text(const Statement& s, std::string text) {
  Value value = TRY(text_value(std::move(text)));
  for (const ExprPtr& filter : s.values)
    value = TRY(apply_filter(filter->name, value, TRY(eval_arguments(*filter))));
  return value;
}

Status Evaluator::run_set(const Statement& s) {
  const Value value = TRY(eval(*s.expr));
  if (s.name.empty()) return assign_all(s.names, value);
  const Value target = lookup(s.names[0]);
  if (target.names() == nullptr)
    return fail(ErrorCode::kInvalidArgument, "'{}' is no namespace, so '{}.{}' cannot be set", s.names[0],
                s.names[0], s.name);
  return set_name(*target.names(), Value::of(s.name), value);
}

Status Evaluator::run_for(const Statement& s, std::string& out, Flow& outer) {
  return run_items(s, TRY(items_of(TRY(eval(*s.expr)))), out, outer);
}

Status Evaluator::run_items(const Statement& s, List items, std::string& out, Flow& outer) {
  TRY(charge(static_cast<int64_t>(items.size())));
  if (s.condition != nullptr) {
    List kept;
    for (const Value& item : items) {
      const Scope scope(scopes_);
      TRY(assign_all(s.names, item));
      if (TRY(eval(*s.condition)).truth()) kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty()) {
    const Scope scope(scopes_);
    return run_body(s.otherwise, out, outer);
  }
  ++loop_depth_;
  loops_.push_back({&s, {}});
  Status status;
  for (size_t i = 0; i < items.size() && status; ++i) {
    const Scope scope(scopes_);
    assign("loop", loop_value(items, i));
    status = assign_all(s.names, items[i]);
    Flow flow = Flow::kOn;
    if (status) status = run_body(s.body, out, flow);
    if (flow == Flow::kBreak) break;
  }
  loops_.pop_back();
  --loop_depth_;
  return status;
}

Result<Value> Evaluator::call_loop(const Arguments& arguments) {
  if (loops_.empty() || !loops_.back().statement->recursive)
    return fail(ErrorCode::kInvalidArgument, "'loop' can be called in a 'for ... recursive' only");
  if (arguments.values.size() != 1 || !arguments.keywords.empty())
    return fail(ErrorCode::kInvalidArgument, "loop: expected one argument");
  const Level level(depth_);
  TRY(charge(1));
  std::string out;
  Flow flow = Flow::kOn;
  TRY(run_items(*loops_.back().statement, TRY(items_of(arguments.values[0])), out, flow));
  return text_value(std::move(out));
}

Result<std::optional<Value>> Evaluator::call_loop_method(const Value& loop, const std::string& name,
                                                         const Arguments& arguments) {
  if (name == "cycle") {
    if (arguments.values.empty()) return fail(ErrorCode::kInvalidArgument, "loop.cycle: expected values");
    const auto index = static_cast<size_t>(TRY(get_attribute(loop, "index0")).as_int());
    return std::optional(arguments.values[index % arguments.values.size()]);
  }
  if (name != "changed" || loops_.empty()) return std::optional<Value>();
  const Value now = Value::tuple(arguments.values);
  const bool changed = !loops_.back().last || !(*loops_.back().last == now);
  loops_.back().last = now;
  return std::optional(Value::of(changed));
}

Value Evaluator::loop_value(const List& items, size_t i) const {
  const auto n = static_cast<int64_t>(items.size()), at = static_cast<int64_t>(i);
  Dict loop;
  const auto add = [&loop](const char* name, Value value) {
    loop.emplace_back(Value::of(std::string(name)), std::move(value));
  };
  add("index", Value::of(at + 1));
  add("index0", Value::of(at));
  add("first", Value::of(i == 0));
  add("last", Value::of(at + 1 == n));
  add("length", Value::of(n));
  add("revindex", Value::of(n - at));
  add("revindex0", Value::of(n - at - 1));
  add("previtem", i == 0 ? Value::undefined("previtem") : items[i - 1]);
  add("nextitem", at + 1 == n ? Value::undefined("nextitem") : items[i + 1]);
  add("depth", Value::of(int64_t{loop_depth_}));
  add("depth0", Value::of(int64_t{loop_depth_ - 1}));
  return Value::of(std::move(loop));
}

}  // namespace volant::jinja
