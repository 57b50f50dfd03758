#include "eval/suites/prompts.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace volant {
namespace {

std::string spoken(std::string subject) {
  std::replace(subject.begin(), subject.end(), '_', ' ');
  return subject;
}

std::string choice_block(const SuiteRow& row) {
  std::string text = row.question;
  for (size_t i = 0; i < row.choices.size(); ++i)
    text += fmt::format("\n{}. {}", static_cast<char>('A' + i), row.choices[i]);
  return text + "\nAnswer:";
}

bool is_chinese(const SuiteRow& row) { return std::ranges::any_of(to_code_points(row.question), is_han); }

// A question as it is asked, and how a solved example goes on.
struct Block {
  std::string asked, solved;
};

Block block_of(SuiteKind kind, const SuiteRow& row) {
  const std::string reference = row.references.empty() ? "" : row.references.back();
  switch (kind) {
    case SuiteKind::kChoice:
      return {choice_block(row), fmt::format(" {}", static_cast<char>('A' + std::max(row.answer, 0)))};
    case SuiteKind::kNumber:
    case SuiteKind::kAnswer:
      return {"Question: " + row.question + "\nAnswer:", " " + reference};
    case SuiteKind::kReading: {
      if (is_chinese(row))
        return {"文章：" + row.context + "\n问题：" + row.question + "\n答案：", reference};
      return {"Passage: " + row.context + "\nQuestion: " + row.question + "\nAnswer:", " " + reference};
    }
    case SuiteKind::kText:
      return {row.question, "\n" + reference};
    case SuiteKind::kCode:
    case SuiteKind::kSafety:
      return {row.question, reference};
  }
  return {};
}

std::string_view instruction_of(SuiteKind kind, bool chinese) {
  if (chinese && kind == SuiteKind::kReading) return "请只用文章中回答问题的最短原文片段作答，不要写别的。";
  switch (kind) {
    case SuiteKind::kChoice:
      return "Answer with the letter of the right choice alone.";
    case SuiteKind::kNumber:
      return "Work it out step by step. End with a line \"#### \" and the number alone.";
    case SuiteKind::kAnswer:
      return "Answer as briefly as possible.";
    case SuiteKind::kReading:
      return "Answer with the shortest span of the passage that answers the question, and nothing else.";
    case SuiteKind::kCode:
      return "Complete this Python function. Reply with one code block that holds the whole function.";
    case SuiteKind::kText:
    case SuiteKind::kSafety:
      break;
  }
  return {};
}

std::string trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const size_t end = text.find_last_not_of(" \t\r\n");
  return std::string(text.substr(begin, end == std::string_view::npos ? 0 : end + 1 - begin));
}

// The content of the first fenced block, or nothing.
std::optional<std::string> code_block(std::string_view answer) {
  const size_t fence = answer.find("```");
  if (fence == std::string_view::npos) return {};
  const size_t begin = answer.find('\n', fence);
  if (begin == std::string_view::npos) return {};
  const size_t end = std::min(answer.find("```", begin), answer.size());
  return std::string(answer.substr(begin + 1, end - begin - 1));
}

// Lines before the function of a prompt: its imports and helpers.
std::string preamble_of(const SuiteRow& row) {
  const size_t at = row.question.find("def " + row.entry_point);
  return at == std::string::npos ? "" : row.question.substr(0, at);
}

}  // namespace

std::string suite_prompt(const Suite& suite, const SuiteRow& row, std::span<const SuiteRow> examples,
                         bool chat) {
  std::string text;
  if (suite.kind == SuiteKind::kChoice)
    text = fmt::format("The following are multiple choice questions (with answers){}.\n\n",
                       row.group.empty() ? "" : " about " + spoken(row.group));
  for (const SuiteRow& example : examples) {
    const Block block = block_of(suite.kind, example);
    text += block.asked + block.solved + "\n\n";
  }
  text += block_of(suite.kind, row).asked;
  const std::string_view instruction = instruction_of(suite.kind, is_chinese(row));
  if (chat && !instruction.empty()) text += fmt::format("\n\n{}", instruction);
  return text;
}

std::vector<std::string> suite_stops(SuiteKind kind) {
  switch (kind) {
    case SuiteKind::kCode:
      return {"\nclass ", "\ndef ", "\n#", "\nif ", "\nprint"};  // as Chen et al. (2021)
    case SuiteKind::kNumber:
      return {"\nQuestion:", "\n\nQuestion"};
    case SuiteKind::kAnswer:
    case SuiteKind::kReading:
    case SuiteKind::kChoice:
      return {"\n"};
    case SuiteKind::kText:
      return {"\n\n"};
    case SuiteKind::kSafety:
      break;
  }
  return {};
}

std::string final_number(std::string_view answer) {
  const size_t mark = answer.rfind("####");
  if (mark != std::string_view::npos) {
    std::string marked = plain_number(answer.substr(mark + 4));
    if (!marked.empty()) return marked;
  }
  const size_t last = answer.find_last_of("0123456789");
  if (last == std::string_view::npos) return {};
  size_t begin = last;
  while (begin > 0 && (std::isdigit(static_cast<unsigned char>(answer[begin - 1])) != 0 ||
                       answer[begin - 1] == ',' || answer[begin - 1] == '.'))
    --begin;
  // "5-3" is no negative number, " -3" is.
  const bool minus = begin > 0 && answer[begin - 1] == '-' &&
                     (begin == 1 || std::isdigit(static_cast<unsigned char>(answer[begin - 2])) == 0);
  std::string number = plain_number(answer.substr(begin, last + 1 - begin));
  return minus && number != "0" ? "-" + number : number;
}

std::string test_program(const SuiteRow& row, std::string_view answer) {
  const std::optional<std::string> block = code_block(answer);
  const std::string code = block.value_or(std::string(answer));
  const bool whole = code.find("def " + row.entry_point) != std::string::npos;
  return (whole ? preamble_of(row) : row.question) + code + "\n" + row.test + "\ncheck(" + row.entry_point +
         ")\n";
}

std::string first_line(std::string_view answer) {
  const std::string text = trimmed(answer);
  return trimmed(std::string_view(text).substr(0, std::min(text.find('\n'), text.size())));
}

}  // namespace volant
