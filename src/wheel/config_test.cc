#include "wheel/config.h"

#include <gmock/gmock.h>

#include <fstream>

#include "support/scratch_dir.h"
#include "wheel/predict/train_section.h"
#include "wheel/trainer.h"
#include "wheel/workspace.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using volant::testing::ScratchDir;

constexpr const char* kMinimal = R"([workspace]
name = "w"
[[collect.source]]
name = "a"
paths = ["*.txt"]
)";

Error error_of(const std::string& more) {
  const auto config = parse_config(kMinimal + more, "volant.toml");
  return config ? Error{ErrorCode::kInternal, "no error", ""} : config.error();
}

TEST(Config, MinimalFileHasTheDefaults) {
  const WorkspaceConfig config = parse_config(kMinimal, "volant.toml").value();
  EXPECT_EQ(config.name, "w");
  ASSERT_EQ(config.sources.size(), 1U);
  EXPECT_EQ(config.sources[0].kind, "text");
  EXPECT_EQ(config.tokenizer.vocab_size, 8192);
  EXPECT_EQ(config.model.hidden_size, 256);
  EXPECT_THAT(config.compress.formats, ElementsAre("q8_0"));
  EXPECT_EQ(config.serve.host, "127.0.0.1");
}

TEST(Config, ReadsEverySection) {
  const WorkspaceConfig config = parse_config(std::string(kMinimal) + R"(
kind = "csv"
text_field = "body"
[prepare]
languages = ["en", "zh"]
min_chars = 3
[train]
lr = 3e-4
steps = 7
[compress]
formats = ["bf16", "q8_0"]
[gate]
max_bits_per_byte_increase = -0.5
[serve]
port = 9000
[improve]
replay_share = 0.25
)",
                                              "volant.toml")
                                     .value();
  EXPECT_EQ(config.sources[0].text_field, "body");
  EXPECT_THAT(config.prepare.languages, ElementsAre("en", "zh"));
  EXPECT_EQ(config.prepare.min_chars, 3U);
  EXPECT_EQ(config.train.lr, 3e-4);
  EXPECT_EQ(config.gate.max_bits_per_byte_increase, -0.5);
  EXPECT_EQ(config.serve.port, 9000);
  EXPECT_EQ(config.improve.replay_share, 0.25);
}

TEST(Config, AnUnknownKeyNamesFileLineAndTheNearestOne) {
  const Error error = error_of("[train]\nsteps = 3\nlearnign_rate = 1\nwarmup_step = 2\n");
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  const Error near = error_of("[train]\nsteps = 3\nwarmup_step = 2\n");
  EXPECT_EQ(near.where, "volant.toml:8");
  EXPECT_THAT(near.message, HasSubstr("unknown key 'warmup_step' in [train], did you mean 'warmup_steps'?"));
}

TEST(Config, AnUnknownSectionNamesTheNearestOne) {
  const Error error = error_of("[tokeniser]\nvocab_size = 512\n");
  EXPECT_EQ(error.where, "volant.toml:6");
  EXPECT_THAT(error.message, HasSubstr("unknown section 'tokeniser', did you mean 'tokenizer'?"));
}

TEST(Config, WrongTypesAndRangesSayWhatWasExpected) {
  EXPECT_THAT(error_of("[train]\nsteps = \"many\"\n").message,
              HasSubstr("train.steps: expected an integer, got a string"));
  EXPECT_THAT(error_of("[train]\nsteps = 0\n").message,
              HasSubstr("train.steps: expected 1 to 100000000, got 0"));
  EXPECT_THAT(error_of("[train]\nlr = nan\n").message, HasSubstr("train.lr: expected 0 to 1"));
  EXPECT_THAT(error_of("[model]\ntie_word_embeddings = 1\n").message,
              HasSubstr("expected true or false, got an integer"));
  EXPECT_THAT(error_of("[prepare]\nlanguages = \"en\"\n").message, HasSubstr("expected an array of strings"));
  EXPECT_THAT(error_of("[prepare]\nlanguages = [1]\n").message, HasSubstr("expected strings in the array"));
  EXPECT_THAT(error_of("[tokenizer]\nalgorithm = \"bep\"\n").message, HasSubstr("did you mean 'bpe'?"));
}

TEST(Config, ReadsHowTrainingIsDividedAndRefusesWhatNobodyStarts) {
  const WorkspaceConfig config =
      parse_config(
          std::string(kMinimal) +
              "[train]\nlaunch = \"local:4\"\nshard = \"parameters\"\ncheckpoint_activations = true\n"
              "device = \"cuda\"\n",
          "volant.toml")
          .value();
  EXPECT_EQ(config.train.launch, "local:4");
  EXPECT_EQ(config.train.shard, "parameters");
  EXPECT_TRUE(config.train.checkpoint_activations);
  const Json job = pretrain_job(config, {}, "t", "s");
  EXPECT_EQ(json_string(job, "shard").value(), "parameters");
  EXPECT_TRUE(json_find(job, "checkpoint_activations")->as_bool());
  EXPECT_EQ(json_string(job, "device").value(), "cuda");
  EXPECT_EQ(json_find(job, "launch"), nullptr);
  EXPECT_THAT(error_of("[train]\nlaunch = \"local\"\n").message, HasSubstr("launch: expected \"local:N\""));
  EXPECT_THAT(error_of("[train]\nshard = \"weights\"\n").message, HasSubstr("gradients, parameters"));

  const std::string task =
      "[workspace]\nname = \"w\"\n[task]\nkind = \"table\"\n[data]\ntrain = [\"a.csv\"]\n"
      "label = \"y\"\n[compress]\nformats = [\"f32\"]\n[train]\nlr = 0.1\n";
  const auto divided = parse_config(task + "launch = \"local:2\"\nshard = \"gradients\"\n", "volant.toml");
  ASSERT_TRUE(divided) << divided.error().to_string();
  const PredictSection& predict = *divided->predict;
  EXPECT_EQ(predict::launch_of(predict).value().n, 2);
  EXPECT_EQ(json_string(Json(predict::training_settings(predict).value()), "shard").value(), "gradients");
  EXPECT_EQ(predict::settings_that_count(predict), (JsonObject{{"lr", 0.1}}));
  const auto refused = parse_config(task + "launch = \"local\"\n", "volant.toml");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("launch: expected \"local:N\""));
}

TEST(Config, ValuesThatDoNotFitTogetherAreRefusedWithTheLineOfTheirSection) {
  const Error error = error_of("[model]\nhidden_size = 100\nnum_attention_heads = 3\n");
  EXPECT_EQ(error.where, "volant.toml:6");
  EXPECT_THAT(error.message, HasSubstr("hidden_size 100 is not a multiple of num_attention_heads 3"));
  EXPECT_THAT(error_of("[train]\nmax_seq_len = 1024\n").message,
              HasSubstr("above model.max_position_embeddings 512"));
  EXPECT_THAT(error_of("[compress]\nformats = [\"q8\"]\n").message, HasSubstr("did you mean 'q8_0'?"));
  EXPECT_THAT(error_of("[model]\nhidden_size = 80\nnum_attention_heads = 4\n").message,
              HasSubstr("multiples of 32"));
  EXPECT_THAT(error_of("[prepare]\nlanguages = [\"English\"]\n").message, HasSubstr("expected codes"));
  EXPECT_THAT(error_of("[model]\narchitecture = \"qwen3\"\nsliding_window = 64\n").message,
              HasSubstr("sliding_window: a qwen3 has none"));
  EXPECT_THAT(error_of("[model]\narchitecture = \"gemma3\"\ntie_word_embeddings = false\n").message,
              HasSubstr("always tied"));
}

TEST(Config, SourcesAreChecked) {
  EXPECT_THAT(error_of("[[collect.source]]\nname = \"a\"\npaths = [\"x\"]\n").message,
              HasSubstr("two sources are named 'a'"));
  EXPECT_THAT(error_of("[[collect.source]]\nname = \"b\"\n").message, HasSubstr("expected paths"));
  EXPECT_THAT(error_of("[[collect.source]]\nname = \"b\"\npath = [\"x\"]\n").message,
              HasSubstr("did you mean 'paths'?"));
  EXPECT_THAT(parse_config("[workspace]\nname = \"w\"\n", "f").error().message,
              HasSubstr("at least one [[collect.source]]"));
  EXPECT_THAT(parse_config("[workspace]\nname = \"w\"\n[collect]\nsource = 3\n", "f").error().message,
              HasSubstr("double brackets"));
  EXPECT_THAT(parse_config("[[collect.source]]\nname = \"a\"\npaths = [\"x\"]\n", "f").error().message,
              HasSubstr("[workspace]"));
}

TEST(Config, SyntaxErrorsNameTheLine) {
  const auto config = parse_config("[workspace]\nname = \"w\n", "volant.toml");
  EXPECT_EQ(config.error().code, ErrorCode::kParse);
  EXPECT_THAT(config.error().where, HasSubstr("volant.toml:2"));
}

TEST(Config, HostileTextGivesAnError) {
  EXPECT_FALSE(parse_config(std::string(5000, '['), "f"));
  EXPECT_FALSE(parse_config(std::string("a\0b", 3), "f"));
  EXPECT_FALSE(parse_config("a = " + std::string(3000, '[') + std::string(3000, ']'), "f"));
  EXPECT_FALSE(parse_config("\xff\xfe\xff", "f"));
  std::string dots = "a";
  for (int i = 0; i < 300'000; ++i) dots += ".a";
  EXPECT_FALSE(parse_config(dots + " = 1", "f"));
  EXPECT_FALSE(parse_config("[" + dots + "]", "f"));
}

TEST(Config, ALetterWhereABlankMayStandIsAnErrorWithItsLine) {
  const auto config = parse_config("[workspace]\nname\xC2\xA1 = \"w\"\n", "volant.toml");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().to_string(), HasSubstr("volant.toml:2"));
}

TEST(Config, TheTemplateIsAValidFile) {
  const WorkspaceConfig config = parse_config(config_template("my \"odd\" name"), "volant.toml").value();
  EXPECT_EQ(config.name, "my \"odd\" name");
}

TEST(Workspace, InitMakesOneThatOpens) {
  const ScratchDir dir;
  Workspace::init(dir / "w", "w").value();
  EXPECT_EQ(Workspace::init(dir / "w", "w").error().code, ErrorCode::kAlreadyExists);
  auto workspace = Workspace::open(dir / "w").value();
  EXPECT_EQ(workspace->config().name, "w");
  EXPECT_EQ(workspace->path(), dir / "w");
  EXPECT_THAT(Workspace::open(dir / "none").error().message, HasSubstr("volant init"));
}

TEST(Workspace, OneHolderOfTheLockAtATime) {
  const ScratchDir dir;
  Workspace::init(dir / "w", "w").value();
  auto one = Workspace::open(dir / "w").value();
  auto two = Workspace::open(dir / "w").value();
  {
    const auto lock = one->lock();
    ASSERT_TRUE(lock);
    const auto second = two->lock();
    EXPECT_EQ(second.error().code, ErrorCode::kConflict);
    EXPECT_THAT(second.error().message, HasSubstr("another 'volant run' or 'volant improve'"));
  }
  EXPECT_TRUE(two->lock());
}

// A workspace of predictions with `line` in place of one of its own.
std::string predictions_with(const std::string& old, const std::string& line) {
  std::string text = R"([workspace]
name = "fruit"
[task]
kind = "table"
problem = "binary"
[data]
train = ["${FRUIT:-fruit.csv}"]
[model]
layers = []
[train]
loss = "focal"
batch_size = 32
max_minutes = 2
optimizer = "adam"
[evaluate]
cost = { false_positive = 1, false_negative = 5 }
)";
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), line);
}

TEST(Predictions, AreReadWithTheirVariablesAndSettings) {
  const WorkspaceConfig config = parse_config(predictions_with("[model]", "[model]"), "volant.toml").value();
  ASSERT_TRUE(config.predict);
  EXPECT_EQ(config.predict->kind, "table");
  EXPECT_EQ(config.predict->data.at("train").at(0), Json("fruit.csv"));
  EXPECT_EQ(config.compress.formats, std::vector<std::string>{"f32"});
  EXPECT_EQ(config.predict->gate.max_accuracy_drop, 0.01);
}

TEST(Predictions, MistypedKeysAndWordsAreRefusedBeforeAnythingIsDone) {
  const auto refusal = [](const char* old, const char* line) {
    const auto config = parse_config(predictions_with(old, line), "volant.toml");
    EXPECT_FALSE(config) << line;
    return config ? "" : config.error().to_string();
  };
  EXPECT_THAT(refusal("\"table\"", "\"tabel\""), HasSubstr("did you mean 'table'"));
  EXPECT_THAT(refusal("\"binary\"", "\"binray\""), HasSubstr("did you mean 'binary'"));
  EXPECT_THAT(refusal("batch_size", "bach_size"), HasSubstr("did you mean 'batch_size'"));
  EXPECT_THAT(refusal("max_minutes", "max_minuts"), HasSubstr("did you mean 'max_minutes'"));
  EXPECT_THAT(refusal("\"focal\"", "\"focl\""), HasSubstr("did you mean 'focal'"));
  EXPECT_THAT(refusal("\"adam\"", "\"adma\""), HasSubstr("did you mean 'adam'"));
  EXPECT_THAT(refusal("cost", "costs"), HasSubstr("did you mean 'cost'"));
  EXPECT_THAT(refusal("[evaluate]", "[evaluate]\nattacks = { epsilon = [0.1] }"),
              HasSubstr("did you mean 'epsilons'"));
  EXPECT_THAT(refusal("[evaluate]", "[evaluate]\nattacks = { epsilons = [0.1, 0] }"), HasSubstr("above 0"));
  EXPECT_THAT(refusal("[evaluate]", "[evaluate]\nattacks = 3"), HasSubstr("attacks: expected true"));
  EXPECT_THAT(refusal("[evaluate]", "[evaluate]\nnearest = -1"), HasSubstr("nearest: expected true"));
  EXPECT_THAT(refusal("[data]", "[collect]"), HasSubstr("collect"));
}

TEST(Workspace, TheLockSweepsWhatAKilledHolderLeft) {
  const ScratchDir dir;
  Workspace::init(dir / "w", "w").value();
  auto workspace = Workspace::open(dir / "w").value();
  const Path state = dir / "w" / ".volant";
  std::filesystem::create_directories(state / "tmp" / ".half.partial-1-2");
  std::filesystem::create_directories(state / "artifacts" / ".x.partial-1-2");
  workspace->registry()
      .database()
      .execute(
          "INSERT INTO runs (id, kind, status, run_key, created_at) VALUES ('r', 'train', 'running', 'k', "
          "'')")
      .value();
  const auto lock = workspace->lock();
  ASSERT_TRUE(lock);
  EXPECT_TRUE(std::filesystem::is_empty(state / "tmp"));
  EXPECT_TRUE(std::filesystem::is_empty(state / "artifacts"));
  EXPECT_EQ(workspace->registry().database().query_one("SELECT status FROM runs").value()->text(0),
            "stopped");
}

}  // namespace
}  // namespace volant
