#include "wheel/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "io/safetensors.h"

namespace volant {

Path hub_cache() {
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return cache;
  if (const char* home = std::getenv("HF_HOME")) return Path(home) / "hub";
  const char* home = std::getenv("HOME");
  return Path(home == nullptr ? "." : home) / ".cache" / "huggingface" / "hub";
}

bool is_hub_id(const std::string& name) {
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.size() <= 96 && part.front() != '.' && std::ranges::all_of(part, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
    });
  };
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return is_part(name);
  return is_part(std::string_view(name).substr(0, slash)) &&
         is_part(std::string_view(name).substr(slash + 1));
}

Path hub_folder(const std::string& id) {
  std::string folder = "models--" + id;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  return hub_cache() / folder;
}

Path cached_snapshot(const std::string& id) {
  const Path cached = hub_folder(id);
  auto revision = read_file(cached / "refs" / "main", 1 << 10);
  if (!revision) return {};
  std::erase_if(*revision, [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) == 0; });
  const Path snapshot = cached / "snapshots" / *revision;
  std::error_code error;
  if (!std::filesystem::exists(snapshot / "config.json", error)) return {};
  return SafetensorsFile::open(snapshot) ? snapshot : Path();
}

}  // namespace volant
