// The rules of the house: which room may include which, and that `volant` carries no torch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "support/test_data.h"

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const fs::path kBuild = VOLANT_BUILD_DIR;

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer{};
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  pclose(pipe);
  return text;
}

// room -> the rooms it declares in its CMakeLists.txt
std::map<std::string, std::set<std::string>> declared_rooms() {
  std::map<std::string, std::set<std::string>> rooms;
  std::ifstream file(kBuild / "rooms.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string room, dep;
    words >> room;
    room.pop_back();
    auto& deps = rooms[room];
    while (words >> dep) deps.insert(dep);
  }
  return rooms;
}

// The room of a library such as `ops_native`, which is a part of the room `ops`.
std::string room_of(const std::string& library) { return library.substr(0, library.find('_')); }

TEST(House, ARoomIncludesOnlyItselfAndTheRoomsItDeclares) {
  const auto declared = declared_rooms();
  ASSERT_GT(declared.size(), 15U);
  std::map<std::string, std::set<std::string>> allowed;
  for (const auto& [library, deps] : declared) {
    for (const auto& dep : deps) allowed[room_of(library)].insert(room_of(dep));
  }
  const std::regex include("^\\s*#include \"([a-z_]+)/");
  std::vector<std::string> broken;
  const fs::path src = volant::testing::source_dir() / "src";
  for (const auto& entry : fs::recursive_directory_iterator(src)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || (!name.ends_with(".cc") && !name.ends_with(".h"))) continue;
    if (name.ends_with("_test.cc") || name.ends_with("_bench.cc")) continue;
    const std::string room = fs::relative(entry.path(), src).begin()->string();
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string used = match[1];
      if (used != room && fs::is_directory(src / used) && !allowed[room].contains(used)) {
        broken.push_back(fs::relative(entry.path(), src).string() + " includes " + used);
      }
    }
  }
  EXPECT_THAT(broken, IsEmpty());
}

TEST(House, ARoomDeclaresOnlyRoomsBelowIt) {
  const std::vector<std::string> order{
      "base",  "io",    "store",    "text", "tensor",   "kernels",  "ops",   "models", "runtime", "data",
      "tasks", "train", "compress", "eval", "registry", "feedback", "wheel", "server", "cli"};
  const auto rank = [&](const std::string& room) {
    return std::find(order.begin(), order.end(), room_of(room)) - order.begin();
  };
  for (const auto& [room, deps] : declared_rooms()) {
    for (const auto& dep : deps) {
      EXPECT_TRUE(rank(dep) < rank(room) || room_of(dep) == room_of(room)) << room << " declares " << dep;
      EXPECT_TRUE(room_of(dep) != "train" || room_of(room) == "train") << room << " reaches train";
    }
  }
}

TEST(House, VolantLinksNoTorchAndHoldsNoTorchSymbol) {
  const std::string volant = (kBuild / "volant").string();
  if (!fs::exists(volant)) GTEST_SKIP() << "volant is not built in " << kBuild;
  const std::string libraries = output_of("ldd " + volant);
  EXPECT_THAT(libraries, HasSubstr("libc.so"));
  EXPECT_THAT(libraries, Not(HasSubstr("torch")));
  EXPECT_THAT(libraries, Not(HasSubstr("libc10")));
  EXPECT_THAT(output_of("nm -D " + volant + " | grep -E '_ZN(K?)(2at|3c10|5torch)' | head -3"), IsEmpty());
}

TEST(House, TheFolderListTellsTheArchitecture) {
  for (const auto& [library, deps] : declared_rooms()) {
    const fs::path readme = volant::testing::source_dir() / "src" / room_of(library) / "README.md";
    EXPECT_TRUE(fs::exists(readme)) << readme << " should say what the room is for";
  }
}

}  // namespace
