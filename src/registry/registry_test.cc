#include "registry/registry.h"

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "registry/answers.h"
#include "registry/artifacts.h"
#include "registry/audit.h"
#include "registry/lineage.h"
#include "registry/resolve.h"
#include "registry/runs.h"
#include "registry/versions.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using volant::testing::ScratchDir;

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { registry_ = Registry::open(dir_.path()).value(); }

  Path make_file(const std::string& name, const std::string& text) {
    Path path = registry_->tmp_dir() / name;
    std::ofstream(path) << text;
    return path;
  }

  // A version of its own run whose gate passed or not.
  ModelVersion make_version(const std::string& bytes, bool passed) {
    ModelVersion version;
    version.run_id = start_run(*registry_, "train", bytes).value().id;
    finish_run(*registry_, version.run_id, "finished", JsonObject{{"steps", 3}}, 1.5).value();
    version.gguf = put_artifact(*registry_, make_file("model.gguf", bytes), "gguf").value().digest;
    version.bytes = bytes.size();
    version.gate = JsonObject{{"passed", passed}, {"reasons", JsonArray{Json("too many bits")}}};
    return register_version(*registry_, version).value();
  }

  ScratchDir dir_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(RegistryTest, ArtifactsAreMovedUnderTheirDigestOnce) {
  const Artifact first = put_artifact(*registry_, make_file("a.txt", "same"), "rows").value();
  const Artifact second = put_artifact(*registry_, make_file("b.txt", "same"), "rows").value();
  EXPECT_EQ(first.digest, second.digest);
  EXPECT_EQ(first.bytes, 4U);
  const Path path = artifact_path(*registry_, first.digest).value();
  EXPECT_EQ(path, registry_->artifacts_dir() / first.digest / "a.txt");
  EXPECT_EQ(read_file(path).value(), "same");
  EXPECT_TRUE(std::filesystem::is_empty(registry_->tmp_dir()));
}

TEST_F(RegistryTest, AnArtifactThatIsGoneFromDiskIsSaidSoAndCanBeMadeAgain) {
  const Artifact artifact = put_artifact(*registry_, make_file("a.txt", "x"), "rows").value();
  std::filesystem::remove_all(registry_->artifacts_dir() / artifact.digest);
  const auto gone = artifact_path(*registry_, artifact.digest);
  EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(gone.error().message, HasSubstr("gone from disk"));
  (void)put_artifact(*registry_, make_file("a.txt", "x"), "rows").value();
  EXPECT_TRUE(artifact_path(*registry_, artifact.digest));
}

TEST_F(RegistryTest, AFolderThatAKilledProcessLeftUnrecordedIsReplaced) {
  const std::string digest = digest_of(make_file("a.txt", "x")).value();
  std::filesystem::create_directories(registry_->artifacts_dir() / digest);
  std::ofstream(registry_->artifacts_dir() / digest / "a.txt") << "half";
  EXPECT_EQ(put_artifact(*registry_, make_file("a.txt", "x"), "rows").value().digest, digest);
  EXPECT_EQ(read_file(artifact_path(*registry_, digest).value()).value(), "x");
}

TEST_F(RegistryTest, AnUnfinishedRunOfTheSameKeyGoesOn) {
  const volant::Run first = start_run(*registry_, "train", "k").value();
  finish_run(*registry_, first.id, "stopped", JsonObject(), 2).value();
  const volant::Run again = start_run(*registry_, "train", "k").value();
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.status, "running");
  finish_run(*registry_, first.id, "finished", JsonObject{{"loss", 1.5}}, 3).value();
  EXPECT_EQ(find_run(*registry_, first.id).value().seconds, 5);
  EXPECT_NE(start_run(*registry_, "train", "k").value().id, first.id);
  EXPECT_EQ(list_runs(*registry_).value().size(), 2U);
}

TEST_F(RegistryTest, EventsLeaveOutAHalfWrittenLine) {
  const volant::Run run = start_run(*registry_, "train", "k").value();
  std::ofstream(run_dir(*registry_, run.id) / "events.jsonl")
      << "{\"type\":\"start\"}\n{\"type\":\"step\",\"ste";
  const JsonArray events = run_events(*registry_, run.id).value();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(json_string(events[0], "type").value(), "start");
}

TEST_F(RegistryTest, VersionsAreNumberedAndAFinishedOneIsNotDoubled) {
  const ModelVersion one = make_version("one", true);
  const ModelVersion two = make_version("two", true);
  EXPECT_EQ(one.version, "v1");
  EXPECT_EQ(two.version, "v2");
  EXPECT_EQ(register_version(*registry_, one).value().version, "v1");
  EXPECT_EQ(list_versions(*registry_).value().size(), 2U);
  EXPECT_EQ(find_version(*registry_, "2").value().version, "v2");
  EXPECT_THAT(find_version(*registry_, "v9").error().message, HasSubstr("no model version or alias 'v9'"));
}

TEST_F(RegistryTest, PromotionMovesProductionAndTakesTheCandidateAlias) {
  const ModelVersion version = make_version("one", true);
  set_alias(*registry_, "candidate", version.version, "run", "").value();
  EXPECT_EQ(alias_target(*registry_, "candidate").value(), "v1");
  EXPECT_THAT(promote(*registry_, "candidate").value().aliases, ElementsAre("production"));
  EXPECT_FALSE(alias_target(*registry_, "candidate").value().has_value());
  EXPECT_EQ(find_version(*registry_, "production").value().version, "v1");
}

TEST_F(RegistryTest, ARefusedVersionIsPromotedOnlyByForceAndTheLogSaysSo) {
  (void)make_version("bad", false);
  const auto refused = promote(*registry_, "v1");
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message, HasSubstr("v1 is not promoted: too many bits"));
  EXPECT_FALSE(alias_target(*registry_, "production").value().has_value());
  (void)promote(*registry_, "v1", {.actor = "cli", .reason = "demo", .force = true}).value();
  const auto entries = list_audit(*registry_).value();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].action, "promote");
  EXPECT_TRUE(json_bool(entries[0].detail, "forced").value());
}

TEST_F(RegistryTest, RollbackGoesBackOneVersionAtATime) {
  for (const char* bytes : {"one", "two", "three"})
    (void)promote(*registry_, make_version(bytes, true).version).value();
  EXPECT_EQ(rollback(*registry_).value().version, "v2");
  EXPECT_EQ(rollback(*registry_).value().version, "v1");
  const auto none = rollback(*registry_);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("v1 and was the first"));
  (void)promote(*registry_, "v3").value();
  EXPECT_EQ(rollback(*registry_).value().version, "v1");
  EXPECT_EQ(verify_audit(*registry_).value(), 7);
}

TEST_F(RegistryTest, AliasesAreThoseThatExist) {
  (void)make_version("one", true);
  EXPECT_EQ(set_alias(*registry_, "staging", "v1", "cli", "").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(RegistryTest, ResolveTakesAPathAVersionOrAnAlias) {
  const ModelVersion version = make_version("one", true);
  (void)promote(*registry_, "v1").value();
  const Path model = artifact_path(*registry_, version.gguf).value();
  EXPECT_EQ(resolve_model(dir_.path(), "v1").value(), model);
  EXPECT_EQ(resolve_model(dir_.path(), "production").value(), model);
  EXPECT_EQ(resolve_model("/", model.string()).value(), model);
  EXPECT_EQ(resolve_model(dir_.path(), "/no/such.gguf").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(resolve_model("/", "v1").error().message, HasSubstr("no workspace in '/'"));
}

TEST_F(RegistryTest, AnswersAreRecordedOnce) {
  const RecordedAnswer answer{"chatcmpl-1", "v1", "", {JsonObject{{"role", "user"}, {"content", "hi"}}},
                              "ho",         {}};
  record_answer(*registry_, answer).value();
  EXPECT_EQ(record_answer(*registry_, answer).error().code, ErrorCode::kAlreadyExists);
  const RecordedAnswer found = find_answer(*registry_, "chatcmpl-1").value();
  EXPECT_EQ(found.answer, "ho");
  EXPECT_EQ(found.messages, answer.messages);
  EXPECT_FALSE(found.created_at.empty());
  EXPECT_EQ(count_answers(*registry_).value(), 1);
}

TEST_F(RegistryTest, LineageIsWalkedFromAnswerToSourceAndFromSourceToVersion) {
  const Artifact rows = put_artifact(*registry_, make_file("rows", "r"), "rows").value();
  ModelVersion version;
  version.run_id = start_run(*registry_, "train", "k").value().id;
  version.dataset = rows.digest;
  version.gguf = put_artifact(*registry_, make_file("m.gguf", "m"), "gguf").value().digest;
  const LineageNode file{"file", "/data/poems@x.txt@abc"};
  add_edge(*registry_, {"source", "poems"}, file, "file").value();
  add_edge(*registry_, file, {"run", "collect-1"}, "file").value();
  add_edge(*registry_, {"run", "collect-1"}, {"artifact", rows.digest}, "collect").value();
  add_edge(*registry_, {"run", "collect-1"}, {"artifact", rows.digest}, "collect").value();
  (void)register_version(*registry_, version).value();
  record_answer(*registry_, {"chatcmpl-1", "v1", "", {}, "ho", {}}).value();

  const Json back = trace(*registry_, "chatcmpl-1").value();
  EXPECT_EQ(back.at("version").at("version").as_string(), "v1");
  EXPECT_EQ(back.at("run").at("id").as_string(), version.run_id);
  EXPECT_EQ(back.at("datasets").at(0).at("digest").as_string(), rows.digest);
  EXPECT_EQ(back.at("sources").at(0).at("name").as_string(), "poems");
  EXPECT_EQ(back.at("sources").at(0).at("files").at(0).at("path").as_string(), "/data/poems@x.txt");
  EXPECT_EQ(back.at("sources").at(0).at("files").at(0).at("digest").as_string(), "abc");

  for (const std::string& from :
       {std::string("poems"), std::string("/data/poems@x.txt"), rows.digest.substr(0, 8)}) {
    const Json forward = trace(*registry_, from).value();
    EXPECT_EQ(forward.at("versions").at(0).as_string(), "v1") << from;
    EXPECT_EQ(forward.at("answers").as_int64(), 1) << from;
  }
  EXPECT_EQ(trace(*registry_, "nobody").error().code, ErrorCode::kNotFound);
}

class AuditTest : public RegistryTest {
 protected:
  void SetUp() override {
    RegistryTest::SetUp();
    for (const char* subject : {"v1", "v2", "v3"}) {
      append_audit(*registry_, "cli", "promote", subject, JsonObject{{"n", 1}}).value();
    }
  }
  // As somebody with the file in hands would.
  void tamper(const std::string& sql) {
    (void)registry_->database().execute("DROP TRIGGER IF EXISTS audit_keeps_rows").value();
    (void)registry_->database().execute("DROP TRIGGER IF EXISTS audit_loses_none").value();
    (void)registry_->database().execute(sql).value();
  }
};

TEST_F(AuditTest, AnUntouchedLogIsWhole) { EXPECT_EQ(verify_audit(*registry_).value(), 3); }

TEST_F(AuditTest, RowsCannotBeChangedOrRemovedByStatements) {
  EXPECT_FALSE(registry_->database().execute("UPDATE audit SET actor = 'x'"));
  EXPECT_FALSE(registry_->database().execute("DELETE FROM audit"));
  EXPECT_EQ(verify_audit(*registry_).value(), 3);
}

TEST_F(AuditTest, AChangedRowIsFound) {
  tamper("UPDATE audit SET subject = 'v9' WHERE id = 2");
  const auto verified = verify_audit(*registry_);
  EXPECT_THAT(verified.error().to_string(), HasSubstr("audit row 2"));
  EXPECT_THAT(verified.error().message, HasSubstr("its content was changed"));
}

TEST_F(AuditTest, ARemovedRowIsFound) {
  tamper("DELETE FROM audit WHERE id = 2");
  EXPECT_THAT(verify_audit(*registry_).error().to_string(), HasSubstr("audit row 3"));
}

TEST_F(RegistryTest, SeveralProcessesWorthOfOpenersNumberVersionsWithoutHoles) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto own = Registry::open(dir_.path()).value();
      for (int i = 0; i < 5; ++i) {
        ModelVersion version;
        version.run_id = fmt::format("run-{}-{}", t, i);
        (void)register_version(*own, version).value();
        append_audit(*own, "test", "register", version.run_id, JsonObject()).value();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(list_versions(*registry_).value().front().version, "v20");
  EXPECT_EQ(verify_audit(*registry_).value(), 20);
}

TEST(Registry, SaysThatThereIsNoFolder) {
  const auto opened = Registry::open("/no/such/workspace");
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(opened.error().message, HasSubstr("volant init"));
}

}  // namespace
}  // namespace volant
