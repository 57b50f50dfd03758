// The syntax tree of a Jinja template.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace volant::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

// One expression. What `name` and `args` hold depends on the kind.
struct Expr {
  enum class Kind {
    kConstant,   // value
    kName,       // name
    kList,       // args; name is "tuple" or empty
    kDict,       // args: key, value, key, value, ...
    kAttribute,  // args[0] . name
    kItem,       // args[0] [ args[1] ]
    kSlice,      // args[0] [ args[1] : args[2] : args[3] ], each of the three may be null
    kCall,       // args[0] ( args[1..], keywords )
    kFilter,     // args[0] | name ( args[1..], keywords )
    kTest,       // args[0] is name ( args[1..] )
    kNot,        // args[0]
    kNegate,
    kPlus,
    kAnd,
    kOr,
    kBinary,   // args[0] name args[1], name one of + - * / // % ** ~
    kCompare,  // args[0], then operators[i] args[i + 1]
    kChoose,   // args[0] if args[1] else args[2] (may be null)
  };
  Kind kind = Kind::kConstant;
  int line = 1;
  int depth = 1;  // of the tree below
  std::string name;
  Value value;
  std::vector<ExprPtr> args;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  std::vector<std::string> operators;
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Macro {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // default may be null
  Body body;
};

struct Statement {
  enum class Kind {
    kText,         // name
    kPrint,        // expr
    kIf,           // branches; the last one may have a null condition
    kFor,          // names in expr if condition; body, otherwise
    kSet,          // names = expr, or attribute of a namespace
    kSetBlock,     // names[0] = body, through filters
    kMacro,        // macro
    kCallBlock,    // expr (a call), body is its caller()
    kFilterBlock,  // body through filters
    kBreak,
    kContinue,
    kScope,       // names and `values`: {% with %}
    kGeneration,  // body: what the assistant says
  };
  Kind kind = Kind::kText;
  int line = 1;
  std::string name;                // kText; kSet: the attribute that is set, or empty
  std::vector<std::string> names;  // kFor, kSet
  bool recursive = false;          // kFor: its body can call loop(items)
  ExprPtr expr, condition;
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body body, otherwise;
  // kScope: of `names`; kSetBlock, kFilterBlock: filters to apply, innermost first, args[0] null
  std::vector<ExprPtr> values;
  std::unique_ptr<Macro> macro;
};

}  // namespace volant::jinja
