#include "cli/completion.h"

#include <fmt/core.h>

#include <cstdio>
#include <string>

#include "cli/commands.h"

namespace volant::cli {
namespace {

std::string flags_of(CLI::App* app) {
  std::string words;
  for (const CLI::Option* option : app->get_options()) {
    for (const auto& name : option->get_lnames()) words += (words.empty() ? "--" : " --") + name;
  }
  return words;
}

std::string commands_of(CLI::App* app) {
  std::string words;
  for (const CLI::App* sub : app->get_subcommands({})) words += (words.empty() ? "" : " ") + sub->get_name();
  return words;
}

std::string words_of(CLI::App* app) {
  const std::string commands = commands_of(app);
  return commands.empty() ? flags_of(app) : commands + " " + flags_of(app);
}

std::string bash_script(CLI::App& root) {
  std::string cases;
  for (CLI::App* sub : root.get_subcommands({})) {
    cases += fmt::format("    {}) words='{}' ;;\n", sub->get_name(), words_of(sub));
  }
  return fmt::format(
      "# bash: eval \"$(volant completion bash)\"\n"
      "_volant() {{\n"
      "  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" words\n"
      "  case \"${{COMP_CWORD}}:${{COMP_WORDS[1]}}\" in\n"
      "    1:*) words='{}' ;;\n"
      "    *) case \"${{COMP_WORDS[1]}}\" in\n{}    *) words='' ;;\n    esac ;;\n"
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=($(compgen -f -- \"$current\"))\n"
      "}}\n"
      "complete -o filenames -F _volant volant\n",
      words_of(&root), cases);
}

std::string zsh_script(CLI::App& root) {
  return "# zsh: eval \"$(volant completion zsh)\"\nautoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(root);
}

std::string fish_script(CLI::App& root) {
  std::string script = "# fish: volant completion fish | source\n";
  for (CLI::App* sub : root.get_subcommands({})) {
    script += fmt::format("complete -c volant -n __fish_use_subcommand -a {} -d '{}'\n", sub->get_name(),
                          sub->get_description());
    for (const CLI::Option* option : sub->get_options()) {
      for (const auto& name : option->get_lnames()) {
        script += fmt::format("complete -c volant -n '__fish_seen_subcommand_from {}' -l {}\n",
                              sub->get_name(), name);
      }
    }
  }
  return script;
}

}  // namespace

void add_completion(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("completion", "Print a shell completion script");
  app->add_option("shell", "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app->footer("Examples:\n  eval \"$(volant completion bash)\"\n  volant completion fish | source");
  app->callback([&action] { action = [] { return Result<int>(0); }; });
}

int print_completion(CLI::App& root) {
  const auto shell = root.get_subcommand("completion")->get_option("shell")->as<std::string>();
  const std::string script = shell == "fish"  ? fish_script(root)
                             : shell == "zsh" ? zsh_script(root)
                                              : bash_script(root);
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace volant::cli
