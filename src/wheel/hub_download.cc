#include "wheel/hub_download.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/stop.h"
#include "io/lock_file.h"
#include "io/system_error.h"
#include "wheel/hub_cache.h"
#include "wheel/hub_client.h"

namespace volant {
namespace {

constexpr int kMaxTries = 6;  // without a byte that came
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kSmallFiles[] = {"config.json",
                                       "generation_config.json",
                                       "tokenizer.json",
                                       "tokenizer.model",
                                       "spiece.model",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "vocab.json",
                                       "merges.txt",
                                       "vocab.txt",
                                       "chat_template.jinja",
                                       "modules.json",
                                       "1_Pooling/config.json",
                                       "sentence_bert_config.json",
                                       "config_sentence_transformers.json"};

struct HubFile {
  std::string name;
  std::optional<uint64_t> bytes;
  std::string sha256;  // empty when the server does not say it
  std::string blob;    // its name in the cache
};

struct HubModel {
  std::string commit;
  std::vector<HubFile> files;
  const HubFile* find(std::string_view name) const {
    const auto found = std::ranges::find(files, name, &HubFile::name);
    return found == files.end() ? nullptr : &*found;
  }
};

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A file that grows at its end, kept when a transfer breaks off.
class PartialFile {
 public:
  explicit PartialFile(Path path) : path_(std::move(path)) {}
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile() { close(); }

  uint64_t size() const { return volant::file_size(path_).value_or(0); }
  // Opens it with its first `keep` bytes alone.
  Status open(uint64_t keep) {
    close();
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) return system_error(path_, "open");
    if (::ftruncate(fd_, static_cast<off_t>(keep)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0)
      return system_error(path_, "write");
    return {};
  }
  Status append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) return system_error(path_, "write");
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  Status sync() {
    if (fd_ < 0) TRY(open(size()));
    const bool done = ::fsync(fd_) == 0;
    Status status = done ? Status() : Status(system_error(path_, "sync"));
    close();
    return status;
  }

 private:
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  Path path_;
  int fd_ = -1;
};

class Download {
 public:
  Download(const std::string& id, const HubOptions& options)
      : id_(id),
        options_(options),
        client_(options.endpoint, options.token),
        folder_(hub_folder(id)),
        blobs_(folder_ / "blobs") {}

  Result<Path> go() {
    model_ = TRY(ask_for_model());
    TRY(make_dirs(blobs_));
    if (const HubFile* index = model_.find(kIndex); index != nullptr && !weights_are_one())
      TRY(fetch(*index));
    const std::vector<const HubFile*> files = TRY(wanted());
    TRY(check_room(files));
    for (const HubFile* file : files) TRY(fetch(*file));
    if (progress_) progress_->finish();
    TRY(write_file_atomic(folder_ / "refs" / "main", model_.commit));
    return snapshot();
  }

 private:
  Path snapshot() const { return folder_ / "snapshots" / model_.commit; }
  bool weights_are_one() const { return model_.find(kWeights) != nullptr; }

  // Waits before try number `n`; a stop ends it.
  Status wait(int n) const {
    auto left = std::chrono::duration<double>(options_.retry_seconds * (1 << std::min(n, 6)));
    constexpr std::chrono::duration<double> kSlice(0.05);
    for (; left.count() > 0 && !stop_requested(); left -= kSlice)
      std::this_thread::sleep_for(std::min(left, kSlice));
    return stop_requested()
               ? Status(fail(ErrorCode::kCancelled, "stopped; the same command goes on from here"))
               : Status();
  }

  Result<HubModel> ask_for_model() const {
    const std::string url = fmt::format("{}/api/models/{}/revision/main?blobs=true", options_.endpoint, id_);
    std::string body;
    const TakeBody take = [&body](const HttpReply&, std::string_view piece) -> Status {
      if (body.size() + piece.size() > (16U << 20))
        return fail(ErrorCode::kLimit, "the list of a model's files is longer than 16 MiB");
      body += piece;
      return {};
    };
    for (int n = 0;; ++n) {
      body.clear();
      const Result<HttpReply> response = client_.get(url, {}, take);
      if (response && response->status / 100 == 2) break;
      const bool again = response ? HubClient::may_come_right(response->status)
                                  : response.error().code == ErrorCode::kTimeout;
      if (!again || n + 1 == 3) {
        if (!response) {
          const Error& error = response.error();
          return Error{error.code, fmt::format("{}; '{}' is no folder here", error.message, id_),
                       error.where};
        }
        return client_.refused(response->status, id_).at(url);
      }
      TRY(wait(n));
    }
    const Result<Json> json = parse_json(body);
    if (!json) return Error(json.error()).at(url);
    Result<HubModel> model = read_model(*json);
    if (!model) return std::move(model).error().at(url);
    return model;
  }

  static Result<HubModel> read_model(const Json& json) {
    HubModel model{.commit = TRY(json_string(json, "sha")), .files = {}};
    if (!is_hex(model.commit, 40))
      return fail(ErrorCode::kParse, "expected a commit of 40 digits as 'sha', got '{}'", model.commit);
    const Json* list = json_find(json, "siblings");
    if (list == nullptr || !list->is_array()) return fail(ErrorCode::kParse, "expected a list 'siblings'");
    for (const Json& row : list->get_array()) {
      HubFile file{.name = TRY(json_string(row, "rfilename")), .bytes = {}, .sha256 = {}, .blob = {}};
      const Json* lfs = json_find(row, "lfs");
      const int64_t bytes = TRY(json_int_or(lfs == nullptr ? row : *lfs, "size", -1));
      if (bytes >= 0) file.bytes = static_cast<uint64_t>(bytes);
      if (lfs != nullptr) file.sha256 = TRY(json_string_or(*lfs, "sha256", ""));
      if (!is_hex(file.sha256, 64)) file.sha256.clear();
      file.blob = file.sha256.empty() ? TRY(json_string_or(row, "blobId", "")) : file.sha256;
      if (file.sha256.empty() && !is_hex(file.blob, 40))
        file.blob = sha256_hex(model.commit + "/" + file.name);  // the server keeps its names to itself
      model.files.push_back(std::move(file));
    }
    return model;
  }

  // What opens the model, config.json first; the index of the weights has been read.
  Result<std::vector<const HubFile*>> wanted() const {
    std::vector<const HubFile*> files;
    for (const char* name : kSmallFiles)
      if (const HubFile* file = model_.find(name)) files.push_back(file);
    if (model_.find("config.json") == nullptr)
      return fail(ErrorCode::kNotFound, "'{}' has no config.json: it is no model that can be opened here",
                  id_);
    if (weights_are_one()) {
      files.push_back(model_.find(kWeights));
      return files;
    }
    if (model_.find(kIndex) == nullptr)
      return fail(ErrorCode::kNotFound,
                  "'{}' has neither {} nor {}: only safetensors are read, convert it with Transformers' "
                  "save_pretrained",
                  id_, kWeights, kIndex);
    const Path index = snapshot() / kIndex;
    const Json json = TRY(parse_json(TRY(read_file(index))));
    const Json* map = json_find(json, "weight_map");
    if (map == nullptr || !map->is_object())
      return fail(ErrorCode::kParse, "expected an object 'weight_map'").at(index.string());
    std::set<std::string> names;
    for (const auto& field : map->get_object())
      if (field.value().is_string()) names.emplace(field.value().get_string());
    for (const std::string& name : names) {
      const HubFile* file = model_.find(name);
      if (file == nullptr || name.find('/') != std::string::npos || !name.ends_with(".safetensors"))
        return fail(ErrorCode::kParse, "the index names '{}', which is no file of weights beside it", name)
            .at(index.string());
      files.push_back(file);
    }
    return files;
  }

  uint64_t bytes_here(const HubFile& file) const {
    std::error_code error;
    if (std::filesystem::exists(blobs_ / file.blob, error)) return file.bytes.value_or(0);
    return PartialFile(partial_of(file)).size();
  }

  // Sets up the progress, and looks whether what is to come is allowed and fits.
  Status check_room(const std::vector<const HubFile*>& files) {
    uint64_t total = 0, left = 0;
    bool known = true;
    for (const HubFile* file : files) {
      known = known && file->bytes.has_value();
      total += file->bytes.value_or(0);
      left += file->bytes.value_or(0) - std::min(file->bytes.value_or(0), bytes_here(*file));
    }
    if (total > options_.max_bytes)
      return fail(ErrorCode::kLimit, "'{}' has {}, more than {}", id_,
                  format_bytes(static_cast<double>(total)),
                  format_bytes(static_cast<double>(options_.max_bytes)));
    std::error_code error;
    const auto space = std::filesystem::space(blobs_, error);
    if (!error && left > space.available)
      return fail(ErrorCode::kLimit, "{} are to come, and the disk has room for {}",
                  format_bytes(static_cast<double>(left)), format_bytes(static_cast<double>(space.available)))
          .at(blobs_.string());
    if (left > 0 || !known) progress_.emplace("Downloading " + id_, known ? left : 0, "bytes");
    return {};
  }

  Path partial_of(const HubFile& file) const { return blobs_ / (file.blob + ".incomplete"); }

  Status fetch(const HubFile& file) {
    std::error_code error;
    if (!std::filesystem::exists(blobs_ / file.blob, error)) {
      const LockFile lock =
          TRY(LockFile::acquire(hub_cache() / ".locks" / folder_.filename() / (file.blob + ".lock")));
      Status status = std::filesystem::exists(blobs_ / file.blob, error) ? Status() : fetch_blob(file);
      if (!status) return std::move(status).error().at(id_ + "/" + file.name);
    }
    const Path link = snapshot() / file.name;
    TRY(make_dirs(link.parent_path()));
    if (std::filesystem::exists(link, error)) return {};
    std::filesystem::remove(link, error);
    std::filesystem::create_symlink(std::filesystem::relative(blobs_ / file.blob, link.parent_path()), link,
                                    error);
    if (error) return fail(ErrorCode::kIo, "cannot link to its blob: {}", error.message()).at(link.string());
    return {};
  }

  Status fetch_blob(const HubFile& file) {
    PartialFile partial(partial_of(file));
    std::string sha256 = file.sha256;
    for (int n = 0;; ++n) {
      const uint64_t before = partial.size();
      if (before > 0 && file.bytes == before) break;
      const Result<int> status = transfer(file, partial, sha256);
      if (status && *status / 100 == 2) break;
      if (partial.size() > before) n = 0;
      const bool again = status ? HubClient::may_come_right(*status) || *status == 416
                                : status.error().code == ErrorCode::kUnavailable ||
                                      status.error().code == ErrorCode::kTimeout;
      if (status && *status == 416) TRY(volant::remove_all(partial_of(file)));
      if (!again || n + 1 == kMaxTries) {
        if (!status && status.error().code == ErrorCode::kLimit) TRY(volant::remove_all(partial_of(file)));
        if (!status) return Error(status.error());
        return client_.refused(*status, id_);
      }
      TRY(wait(n));
    }
    TRY(partial.sync());
    if (!sha256.empty()) {
      const std::string got = TRY(digest_of(partial_of(file)));
      if (got != sha256) {
        TRY(volant::remove_all(partial_of(file)));
        return fail(ErrorCode::kParse, "what came has the digest {}, expected {}; it was removed, try again",
                    got, sha256);
      }
    }
    return rename_into_place(partial_of(file), blobs_ / file.blob);
  }

  // One request for what is missing of a file; the status of the last answer. `sha256` is set from the first
  // answer's X-Linked-ETag where the list of files did not say it.
  Result<int> transfer(const HubFile& file, PartialFile& partial, std::string& sha256) {
    uint64_t at = partial.size();
    if (file.bytes && at > *file.bytes) at = 0;
    std::vector<std::string> headers;
    if (at > 0) headers.push_back(fmt::format("Range: bytes={}-", at));
    const uint64_t most =
        file.bytes.value_or(file.name.ends_with(".safetensors") ? options_.max_bytes : kMaxTextFileBytes);
    bool opened = false;
    const TakeBody take = [&](const HttpReply& head, std::string_view piece) -> Status {
      if (!opened) {
        const bool goes_on =
            head.status == 206 && header_of(head, "content-range").starts_with(fmt::format("bytes {}-", at));
        if (head.status == 206 && !goes_on)
          return fail(ErrorCode::kUnavailable, "the server sent another part than was asked for");
        if (!goes_on) at = 0;
        TRY(partial.open(at));
        opened = true;
      }
      at += piece.size();
      if (at > most) return fail(ErrorCode::kLimit, "expected {} bytes, more came", most);
      TRY(partial.append(piece));
      moved_ += piece.size();
      if (progress_) progress_->update(moved_, file.name);
      return {};
    };
    HttpReply first;
    const std::string url =
        fmt::format("{}/{}/resolve/{}/{}", options_.endpoint, id_, model_.commit, file.name);
    const HttpReply response = TRY(client_.get(url, headers, take, &first));
    if (response.status / 100 == 2) {
      if (!opened) TRY(partial.open(at));  // an empty file
      if (file.bytes && at != *file.bytes)
        return fail(ErrorCode::kUnavailable, "expected {} bytes, {} came", *file.bytes, at);
      std::string tag = header_of(first, "x-linked-etag");
      std::erase(tag, '"');
      if (sha256.empty() && is_hex(tag, 64)) sha256 = tag;
    }
    return response.status;
  }

  std::string id_;
  HubOptions options_;
  HubClient client_;
  Path folder_, blobs_;
  HubModel model_;
  std::optional<Progress> progress_;
  uint64_t moved_ = 0;  // bytes that came just now
};

bool is_on(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return false;
  std::string value(text);
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return std::tolower(c); });
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

}  // namespace

HubOptions hub_options() {
  HubOptions options;
  if (const char* endpoint = std::getenv("HF_ENDPOINT"); endpoint != nullptr && *endpoint != 0)
    options.endpoint = endpoint;
  if (const char* token = std::getenv("HF_TOKEN")) options.token = token;
  options.offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
  return options;
}

Result<Path> download_model(const std::string& id, const HubOptions& options) {
  if (!is_hub_id(id))
    return fail(ErrorCode::kInvalidArgument, "expected a model's id like 'owner/name', got '{}'", id);
  if (options.offline)
    return fail(ErrorCode::kUnavailable,
                "'{}' is neither a folder here nor whole in {}, and HF_HUB_OFFLINE forbids to download it",
                id, hub_cache().string());
  HubOptions checked = options;
  while (checked.endpoint.ends_with('/')) checked.endpoint.pop_back();
  if (!HubClient::is_url(checked.endpoint))
    return fail(ErrorCode::kInvalidArgument, "expected HF_ENDPOINT like https://huggingface.co, got '{}'",
                options.endpoint);
  std::erase_if(checked.token, [](unsigned char c) { return std::isspace(c) != 0; });
  if (std::ranges::any_of(checked.token, [](unsigned char c) { return c < 0x21 || c > 0x7e; }))
    return fail(ErrorCode::kInvalidArgument, "expected HF_TOKEN without control characters");
  return Download(id, checked).go();
}

}  // namespace volant
