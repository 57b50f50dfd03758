// Values of a Jinja template, with Python's meaning of truth, equality, order and printing. Lists and
// dictionaries are shared and never change; only a namespace does.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace volant::jinja {

class Value;
struct Macro;  // of the syntax tree

using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // in order; few entries, so looked through one by one

struct Undefined {
  std::string name;  // of what was not there
};
struct None {};
struct Namespace;
// A function that a template can name: one of its macros, or a built-in.
struct Function {
  const Macro* macro = nullptr;
  std::string builtin;
  size_t scope = 0;  // of a macro: the innermost scope whose names it sees besides its own
};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, Function>;
  Value() : data_(Undefined{}) {}
  Value(Data data) : data_(std::move(data)) {}  // NOLINT(google-explicit-constructor)
  static Value none() { return Value(Data(None{})); }
  static Value undefined(std::string name) { return Value(Data(Undefined{std::move(name)})); }
  static Value of(bool value) { return Value(Data(value)); }
  static Value of(int64_t value) { return Value(Data(value)); }
  static Value of(double value) { return Value(Data(value)); }
  static Value of(std::string value) { return Value(Data(std::move(value))); }
  static Value of(List list);
  // A list that prints with round brackets.
  static Value tuple(List list) {
    Value value = of(std::move(list));
    value.is_tuple_ = true;
    return value;
  }
  static Value of(Dict dict);
  static Value of(std::shared_ptr<Namespace> names);
  static Value from_json(const Json& json);

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  const std::string* text() const { return get<std::string>(); }
  const List* list() const;
  const Dict* dict() const;
  Namespace* names() const;
  bool is_tuple() const { return is_tuple_; }
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }
  // A number: true and false count as 1 and 0.
  bool is_number() const { return get<bool>() || get<int64_t>() || get<double>(); }
  bool is_integer() const { return get<bool>() || get<int64_t>(); }
  int64_t as_int() const;
  double as_double() const;

  // How deep lists and dictionaries are within each other: 0 for a value that is neither.
  int nesting() const { return nesting_; }
  // A namespace, or a list or dictionary with one in it. In a namespace such a value could hold itself.
  bool holds_names() const { return holds_names_; }

  bool truth() const;
  // As Python's type(x).__name__.
  std::string type_name() const;
  // As Python's str() and repr(); an undefined value prints as nothing.
  std::string print() const;
  std::string repr() const;

  friend bool operator==(const Value& a, const Value& b);

 private:
  void take_in(const Value& part);
  Data data_;
  bool is_tuple_ = false, holds_names_ = false;
  int nesting_ = 0;
};

struct Namespace {
  Dict values;
};

// The entry `key`; nullptr when there is none.
const Value* find(const Dict& dict, const Value& key);
void put(Dict& dict, Value key, Value value);
// The same in a namespace; kUnsupported for a value that holds one.
Status set_name(Namespace& names, Value key, Value value);
// Less than, for numbers, texts and lists; kInvalidArgument for others.
Result<bool> less(const Value& a, const Value& b);
// As json.dumps(ensure_ascii=False): `indent` < 0 for one line.
struct JsonStyle {
  int indent = -1;
  bool sort_keys = false, ensure_ascii = false;
  std::string item_separator, key_separator;  // empty: the usual ones
};
Result<std::string> to_json_text(const Value& value, const JsonStyle& style);

}  // namespace volant::jinja
