// Downloads from servers in this process that answer as the hub does: a list of files at
// /api/models/ID/revision/main, small files at /ID/resolve/COMMIT/FILE, and for large ones a redirect to
// another server, which takes ranges.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "support/http_server.h"
#include "support/scratch_dir.h"
#include "wheel/hub_cache.h"
#include "wheel/hub_download.h"
#include "wheel/pretrained.h"
#include "wheel/recipe.h"

namespace volant {
namespace {

using testing::HttpServer;
using testing::ScratchDir;
using Answer = HttpServer::Answer;
using Request = HttpServer::Request;

const std::string kCommit(40, 'c');

// A variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

std::string weights_of(const ScratchDir& scratch, const char* tensor, size_t n) {
  std::vector<float> numbers(n);
  for (size_t i = 0; i < n; ++i) numbers[i] = static_cast<float>(i);
  const auto bytes = std::as_bytes(std::span<const float>(numbers));
  const Path file = scratch / "made.safetensors";
  EXPECT_TRUE(write_safetensors(file, {{tensor, {"F32", {static_cast<int64_t>(n)}, bytes}}}));
  return read_file(file).value();
}

// A hub with one model. Files that end with ".safetensors" are large: kept by another server.
class Hub : public ::testing::Test {
 protected:
  Hub()
      : cache_("HF_HUB_CACHE", (scratch_ / "hub").string()),
        store_([this](const Request& request) { return from_store(request); }),
        hub_([this](const Request& request) { return from_hub(request); }) {
    files_["config.json"] = R"({"model_type": "gpt2"})";
    files_["vocab.json"] = R"({"a": 0})";
    files_["model.safetensors"] = weights_of(scratch_, "wte.weight", 20000);
    files_["pytorch_model.bin"] = "not wanted";
    files_["onnx/model.onnx"] = "not wanted";
    options_.endpoint = hub_.url() + "/";
    options_.token = "hf_secret";
    options_.retry_seconds = 0.001;
  }

  Answer from_hub(const Request& request) {
    if (status_ != 200) return {.status = status_};
    if (const size_t old = request.path.find("old-name"); old != std::string::npos)
      return {.status = 307,
              .headers = {"Location: " + std::string(request.path).replace(old, 8, "org/name")}};
    if (request.path == "/api/models/org/name/revision/main?blobs=true")
      return {.body = dump_json(listing())};
    const std::string begin = "/org/name/resolve/" + kCommit + "/";
    const std::string name = request.path.substr(std::min(begin.size(), request.path.size()));
    if (!request.path.starts_with(begin) || !files_.contains(name)) return {.status = 404};
    if (!name.ends_with(".safetensors")) return {.body = files_[name]};
    return {.status = 302,
            .headers = {"X-Linked-ETag: \"" + digest_of_file(name) + "\"",
                        "Location: " + store_.url() + "/" + name + "?Signature=hush"}};
  }

  Answer from_store(const Request& request) {
    const std::string name = request.path.substr(1, request.path.find('?') - 1),
                      range = request.header("range");
    const std::string& bytes = files_[name];
    const size_t from = range.empty() ? 0 : std::stoul(range.substr(range.find('=') + 1));
    Answer answer{.body = bytes.substr(from)};
    if (!range.empty() && takes_ranges_) {
      answer.status = 206;
      answer.headers = {"Content-Range: bytes " + std::to_string(from) + "-" +
                        std::to_string(bytes.size() - 1) + "/" + std::to_string(bytes.size())};
    } else {
      answer.body = bytes;
    }
    if (breaks_ > 0) {
      --breaks_;
      answer.send = answer.body.size() / 3;
    }
    return answer;
  }

  std::string digest_of_file(const std::string& name) {
    return wrong_digest_ ? std::string(64, '0') : sha256_hex(files_[name]);
  }

  Json listing() {
    JsonArray siblings;
    for (const auto& [name, bytes] : files_) {
      JsonObject row{{"rfilename", name}};
      const bool large = name.ends_with(".safetensors");
      if (says_sizes_ && large)
        row["lfs"] = JsonObject{{"size", bytes.size()}, {"sha256", digest_of_file(name)}};
      else if (says_sizes_)
        row["size"] = bytes.size();
      if (says_sizes_) row["blobId"] = sha256_hex(bytes).substr(0, 40);
      siblings.push_back(std::move(row));
    }
    return JsonObject{{"id", "org/name"}, {"sha", kCommit}, {"siblings", std::move(siblings)}};
  }

  // How often the store was asked for a file.
  size_t n_asked() const { return store_.requests().size(); }
  Path blobs() const { return hub_folder("org/name") / "blobs"; }

  ScratchDir scratch_;
  Variable cache_;
  std::map<std::string, std::string> files_;
  int status_ = 200, breaks_ = 0;
  bool takes_ranges_ = true, wrong_digest_ = false, says_sizes_ = true;
  HttpServer store_, hub_;
  HubOptions options_;
};

TEST_F(Hub, AModelComesIntoTheCacheAsTheHubsOwnProgramsLayItOut) {
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(*folder, scratch_ / "hub/models--org--name/snapshots" / kCommit);
  EXPECT_EQ(read_file(hub_folder("org/name") / "refs/main").value(), kCommit);
  for (const char* name : {"config.json", "vocab.json", "model.safetensors"}) {
    EXPECT_EQ(read_file(*folder / name).value(), files_[name]);
    EXPECT_EQ(std::filesystem::read_symlink(*folder / name).parent_path(), "../../blobs");
  }
  EXPECT_TRUE(std::filesystem::exists(blobs() / sha256_hex(files_["model.safetensors"])));
  EXPECT_FALSE(std::filesystem::exists(*folder / "pytorch_model.bin"));
  EXPECT_FALSE(std::filesystem::exists(*folder / "onnx"));
  for (const auto& entry : std::filesystem::directory_iterator(blobs()))
    EXPECT_FALSE(entry.path().string().ends_with(".incomplete")) << entry.path();
}

TEST_F(Hub, TheTokenGoesToTheEndpointAlone) {
  ASSERT_TRUE(download_model("org/name", options_));
  ASSERT_FALSE(hub_.requests().empty());
  for (const Request& request : hub_.requests())
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret") << request.path;
  ASSERT_EQ(store_.requests().size(), 1U);
  EXPECT_EQ(store_.requests()[0].header("authorization"), "");
}

TEST_F(Hub, ATransferThatBreaksOffGoesOnWhereItEnded) {
  breaks_ = 3;
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(read_file(*folder / "model.safetensors").value(), files_["model.safetensors"]);
  const auto requests = store_.requests();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].header("range"), "");
  EXPECT_EQ(requests[1].header("range"),
            "bytes=" + std::to_string(files_["model.safetensors"].size() / 3) + "-");
}

TEST_F(Hub, APartialFileOfAnEarlierProgramIsGoneOnWith) {
  const std::string& bytes = files_["model.safetensors"];
  ASSERT_TRUE(write_file_atomic(blobs() / (sha256_hex(bytes) + ".incomplete"), bytes.substr(0, 1000)));
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(read_file(*folder / "model.safetensors").value(), bytes);
  EXPECT_EQ(store_.requests()[0].header("range"), "bytes=1000-");
}

TEST_F(Hub, AServerThatTakesNoRangesSendsItAgain) {
  takes_ranges_ = false;
  breaks_ = 1;
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(read_file(*folder / "model.safetensors").value(), files_["model.safetensors"]);
}

TEST_F(Hub, WhatHasAnotherDigestIsRemoved) {
  wrong_digest_ = true;
  for (const bool listed : {true, false}) {  // in the list of files, or in the header of the answer alone
    says_sizes_ = listed;
    const auto folder = download_model("org/name", options_);
    ASSERT_FALSE(folder);
    EXPECT_NE(folder.error().to_string().find("digest"), std::string::npos) << folder.error().to_string();
    EXPECT_NE(folder.error().to_string().find("org/name/model.safetensors"), std::string::npos);
    EXPECT_EQ(cached_snapshot("org/name"), Path());
    EXPECT_FALSE(std::filesystem::exists(hub_folder("org/name") / "refs/main"));
    for (const auto& entry : std::filesystem::directory_iterator(blobs()))
      EXPECT_LT(std::filesystem::file_size(entry), 1000U) << entry.path();
  }
}

TEST_F(Hub, ShardsAreThoseOfTheIndex) {
  files_.erase("model.safetensors");
  files_["model-1.safetensors"] = weights_of(scratch_, "a", 10);
  files_["model-2.safetensors"] = weights_of(scratch_, "b", 10);
  files_["consolidated.safetensors"] = weights_of(scratch_, "c", 10);
  files_["model.safetensors.index.json"] =
      R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})";
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(cached_snapshot("org/name"), *folder);
  EXPECT_EQ(SafetensorsFile::open(*folder).value().tensors().size(), 2U);
  EXPECT_EQ(n_asked(), 2U);
}

TEST_F(Hub, NamesThatLeadElsewhereAreRefused) {
  files_.erase("model.safetensors");
  files_["../../x.safetensors"] = "x";
  files_["model.safetensors.index.json"] = R"({"weight_map": {"a": "../../x.safetensors"}})";
  const auto folder = download_model("org/name", options_);
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().to_string().find("../../x.safetensors"), std::string::npos);
  EXPECT_EQ(n_asked(), 0U);
}

TEST_F(Hub, AServerThatSaysNoSizesWillDo) {
  says_sizes_ = false;
  breaks_ = 1;
  const auto folder = download_model("org/name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(read_file(*folder / "model.safetensors").value(), files_["model.safetensors"]);
}

TEST_F(Hub, AModelThatWasRenamedIsFollowed) {
  const auto folder = download_model("old-name", options_);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(read_file(*folder / "model.safetensors").value(), files_["model.safetensors"]);
  EXPECT_EQ(cached_snapshot("old-name"), *folder);
}

TEST_F(Hub, MoreThanWasSaidOrAllowedIsRefused) {
  options_.max_bytes = 1000;
  const auto folder = download_model("org/name", options_);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kLimit);
  EXPECT_EQ(n_asked(), 0U);
  says_sizes_ = false;
  const auto unsaid = download_model("org/name", options_);
  ASSERT_FALSE(unsaid);
  EXPECT_EQ(unsaid.error().code, ErrorCode::kLimit);
}

TEST_F(Hub, ErrorsSayWhatToDoAndNoSecrets) {
  const auto error_with = [&](int status) {
    status_ = status;
    const auto folder = download_model("org/name", options_);
    EXPECT_FALSE(folder);
    const std::string text = folder ? "" : folder.error().to_string();
    EXPECT_EQ(text.find("hf_secret"), std::string::npos) << text;
    return text;
  };
  EXPECT_NE(error_with(404).find("knows no 'org/name'"), std::string::npos);
  EXPECT_NE(error_with(403).find("refuses the token in HF_TOKEN"), std::string::npos);
  EXPECT_NE(error_with(503).find("503"), std::string::npos);
  options_.token.clear();
  EXPECT_NE(error_with(401).find("set HF_TOKEN"), std::string::npos);
  status_ = 200;
  breaks_ = 100;
  files_["model.safetensors"] = "xx";  // a third of it is nothing: no try gets further
  const auto folder = download_model("org/name", options_);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().to_string().find("hush"), std::string::npos) << folder.error().to_string();
  files_.erase("model.safetensors");
  EXPECT_NE(error_with(200).find("only safetensors are read"), std::string::npos);
  options_.endpoint = "ftp://x";
  EXPECT_NE(error_with(200).find("HF_ENDPOINT"), std::string::npos);
}

TEST_F(Hub, TheEnvironmentSaysWhereFromAndWhether) {
  const Variable endpoint("HF_ENDPOINT", hub_.url()), token("HF_TOKEN", "hf_of_the_environment");
  {
    const Variable offline("HF_HUB_OFFLINE", "1");
    const auto refused = fetch_pretrained(scratch_.path(), "org/name");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().to_string().find("HF_HUB_OFFLINE"), std::string::npos);
    EXPECT_TRUE(hub_.requests().empty());
  }
  EXPECT_FALSE(pretrained_folder(scratch_.path(), "org/name"));
  const auto folder = fetch_pretrained(scratch_.path(), "org/name");
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(hub_.requests()[0].header("authorization"), "Bearer hf_of_the_environment");
  const size_t n = hub_.requests().size();
  EXPECT_EQ(fetch_pretrained(scratch_.path(), "org/name").value(), *folder);  // from the cache
  EXPECT_EQ(pretrained_folder(scratch_.path(), "org/name").value(), *folder);
  EXPECT_EQ(hub_.requests().size(), n);
}

TEST_F(Hub, ARecipeKeepsAnIdUnlessAFolderHasThatName) {
  const Path recipe = scratch_ / "recipe.toml";
  ASSERT_TRUE(write_file_atomic(recipe, "[model]\ninit_from = \"org/name\"\n"));
  const auto init_from = [&] {
    const JsonObject read = load_recipe(recipe).value();
    return json_string(*json_find(read, "model"), "init_from").value();
  };
  EXPECT_EQ(init_from(), "org/name");
  ASSERT_TRUE(make_dirs(scratch_ / "org/name"));
  EXPECT_EQ(init_from(), (scratch_ / "org/name").string());
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(Hub, AServerThatIsNotThereIsNamedWithTheId) {
  options_.endpoint = "http://127.0.0.1:1";
  const auto folder = download_model("org/name", options_);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(folder.error().to_string().find("'org/name' is no folder here"), std::string::npos);
}

TEST_F(Hub, ASnapshotWithoutWeightsIsCompleted) {
  const Path snapshot = hub_folder("org/name") / "snapshots" / kCommit;
  ASSERT_TRUE(write_file_atomic(snapshot / "config.json", files_["config.json"]));
  ASSERT_TRUE(write_file_atomic(hub_folder("org/name") / "refs/main", kCommit));
  EXPECT_EQ(cached_snapshot("org/name"), Path());
  ASSERT_TRUE(download_model("org/name", options_));
  EXPECT_EQ(cached_snapshot("org/name"), snapshot);
}

}  // namespace
}  // namespace volant
