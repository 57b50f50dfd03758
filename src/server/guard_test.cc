// Who may ask: keys, scopes, loopback without keys, limits on wrong keys.
#include "server/guard.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using volant::testing::ScratchDir;

HttpRequest request_with(HttpHeaders headers, const std::string& method = "GET",
                         const std::string& body = "") {
  HttpRequest request;
  request.method = method;
  request.path = "/v1/models";
  request.headers = std::move(headers);
  request.body = body;
  request.peer = "127.0.0.1";
  return request;
}

int status_of(const std::optional<HttpResponse>& refused) { return refused ? refused->status : 200; }

TEST(KeyStoreTest, KeepsOnlyTheHashAndNobodyElseReadsIt) {
  const ScratchDir dir;
  const Path file = dir / "sub/keys.json";
  const auto key = KeyStore::add(file, "laptop");
  ASSERT_TRUE(key) << key.error().to_string();
  EXPECT_EQ(key->size(), 3U + 64U);
  const std::string text = read_file(file).value();
  EXPECT_THAT(text, Not(HasSubstr(*key)));
  EXPECT_THAT(text, HasSubstr(sha256_hex(*key)));
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(KeyStoreTest, AddsListsAndRemoves) {
  const ScratchDir dir;
  const Path file = dir / "keys.json";
  EXPECT_TRUE(KeyStore::read(file)->empty());
  const std::string one = KeyStore::add(file, "one").value();
  const std::string two = KeyStore::add(file, "two", "models").value();
  EXPECT_EQ(KeyStore::add(file, "one").error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(KeyStore::add(file, "a name").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(KeyStore::add(file, "x", "root").error().code, ErrorCode::kInvalidArgument);
  const KeyStore keys(file);
  EXPECT_TRUE(keys.required());
  EXPECT_EQ(keys.scope_of(one), "all");
  EXPECT_EQ(keys.scope_of(two), "models");
  EXPECT_EQ(keys.scope_of(two + "0"), "");
  EXPECT_EQ(keys.scope_of(""), "");
  ASSERT_TRUE(KeyStore::remove(file, "one"));
  EXPECT_EQ(KeyStore::remove(file, "one").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(KeyStore(file).scope_of(one), "");
  EXPECT_EQ(KeyStore::read(file)->size(), 1U);
}

TEST(KeyStoreTest, ADamagedFileLetsNobodyIn) {
  const ScratchDir dir;
  const Path file = dir / "keys.json";
  for (const char* text :
       {"", "{", "[]", R"({"keys":[{"name":"x"}]})",
        R"({"keys":[{"name":"x","scope":"all","created_at":"","hint":"","sha256":""}]})"}) {
    ASSERT_TRUE(write_file_atomic(file, text));
    const KeyStore keys(file);
    EXPECT_TRUE(keys.required()) << text;
    EXPECT_EQ(keys.scope_of(""), "");
  }
}

TEST(GuardTest, WithoutKeysOnlyThisMachineMayAsk) {
  const KeyStore keys{Path()};
  Guard guard(keys);
  for (const char* host : {"127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:8080", "127.8.9.1"}) {
    EXPECT_EQ(status_of(guard.refuse(request_with({{"host", host}}), Access::kAdmin)), 200) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8080", "127.0.0.1.evil.example",
                           "localhost.evil.example", "[::2]", "[::1", "10.0.0.1", ""}) {
    EXPECT_EQ(status_of(guard.refuse(request_with({{"host", host}}), Access::kAdmin)), 403) << host;
    EXPECT_EQ(status_of(guard.refuse(request_with({{"host", host}}), Access::kPublic)), 403) << host;
  }
  EXPECT_EQ(status_of(guard.refuse(request_with({}), Access::kModels)), 400);
  EXPECT_EQ(status_of(guard.refuse(request_with({{"host", "localhost"}, {"host", "x"}}), Access::kModels)),
            400);
}

TEST(GuardTest, WithoutKeysPagesOfOtherSitesAreRefused) {
  const KeyStore keys{Path()};
  Guard guard(keys);
  const auto post = [&](HttpHeaders headers) {
    headers.insert(headers.begin(), {{"host", "localhost:8080"}, {"content-type", "application/json"}});
    return status_of(guard.refuse(request_with(std::move(headers), "POST", "{}"), Access::kAdmin));
  };
  EXPECT_EQ(post({}), 200);
  EXPECT_EQ(post({{"origin", "http://localhost:8080"}}), 200);
  EXPECT_EQ(post({{"origin", "http://localhost:9999"}}), 403);
  EXPECT_EQ(post({{"origin", "https://evil.example"}}), 403);
  EXPECT_EQ(post({{"origin", "null"}}), 403);
  EXPECT_EQ(post({{"sec-fetch-site", "cross-site"}}), 403);
}

TEST(GuardTest, ABodyMustBeJson) {
  const KeyStore keys{Path()};
  Guard guard(keys);
  const auto post = [&](const char* type) {
    return status_of(guard.refuse(request_with({{"host", "localhost"}, {"content-type", type}}, "POST", "{}"),
                                  Access::kModels));
  };
  EXPECT_EQ(post("application/json"), 200);
  EXPECT_EQ(post("Application/JSON; charset=utf-8"), 200);
  EXPECT_EQ(post("text/plain"), 415);
  EXPECT_EQ(post("application/x-www-form-urlencoded"), 415);
  EXPECT_EQ(status_of(guard.refuse(request_with({{"host", "localhost"}}, "POST", "{}"), Access::kModels)),
            415);
  EXPECT_EQ(status_of(guard.refuse(request_with({{"host", "localhost"},
                                                 {"content-type", "application/json"},
                                                 {"content-encoding", "gzip"}},
                                                "POST", "{}"),
                                   Access::kModels)),
            415);
}

TEST(GuardTest, WithKeysARightOneIsNeededFromAnyHost) {
  const ScratchDir dir;
  const std::string all = KeyStore::add(dir / "k", "all").value();
  const std::string models = KeyStore::add(dir / "k", "models", "models").value();
  const KeyStore keys(dir / "k");
  Guard guard(keys);
  const auto ask = [&](const std::string& authorization, Access access) {
    return status_of(guard.refuse(request_with({{"host", "volant.example"},
                                                {"origin", "https://app.example"},
                                                {"authorization", authorization}}),
                                  access));
  };
  EXPECT_EQ(ask("Bearer " + all, Access::kAdmin), 200);
  EXPECT_EQ(ask("bearer  " + all, Access::kModels), 200);
  EXPECT_EQ(ask("Bearer " + models, Access::kModels), 200);
  EXPECT_EQ(ask("Bearer " + models, Access::kAdmin), 403);
  EXPECT_EQ(ask("Basic " + all, Access::kModels), 401);
  EXPECT_EQ(ask(all, Access::kModels), 401);
  EXPECT_EQ(ask("", Access::kModels), 401);
  EXPECT_EQ(ask("", Access::kPublic), 200);
  EXPECT_EQ(status_of(guard.refuse(request_with({{"host", "h"}, {"x-api-key", all}}), Access::kAdmin)), 200);
}

TEST(GuardTest, WrongKeysAreLimitedByAddress) {
  const ScratchDir dir;
  const std::string right = KeyStore::add(dir / "k", "a").value();
  const KeyStore keys(dir / "k");
  Guard guard(keys, {.max_failures = 3, .window_seconds = 60, .max_addresses = 2});
  const auto ask = [&](const std::string& peer, const std::string& key) {
    HttpRequest request = request_with({{"host", "h"}, {"authorization", "Bearer " + key}});
    request.peer = peer;
    return status_of(guard.refuse(request, Access::kModels));
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("10.0.0.1", "wrong"), 401);
  EXPECT_EQ(ask("10.0.0.1", "wrong"), 429);
  EXPECT_EQ(ask("10.0.0.1", right), 429);
  EXPECT_EQ(ask("10.0.0.2", right), 200);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ask(fmt::format("10.1.0.{}", i), "wrong"), 401);  // bounded memory
}

}  // namespace
}  // namespace volant
