#include "data/token_shard.h"

#include <gtest/gtest.h>

#include "support/scratch_dir.h"

namespace volant {
namespace {

using testing::ScratchDir;

TEST(TokenShard, GivesBackTheDocumentsThatWereWritten) {
  const ScratchDir dir;
  const std::vector<std::vector<int32_t>> documents = {{1, 5, 65535, 2}, {}, {1, 2}};
  ASSERT_TRUE(write_token_shard(dir / "train", documents, 65536));
  const Result<TokenShard> shard = TokenShard::open(dir / "train");
  ASSERT_TRUE(shard) << shard.error().to_string();
  EXPECT_EQ(shard->n_documents(), 3U);
  EXPECT_EQ(shard->n_tokens(), 6U);
  for (uint64_t i = 0; i < documents.size(); ++i) {
    EXPECT_EQ(shard->document_tokens(i), documents[i].size());
    EXPECT_EQ(shard->document(i), documents[i]);
  }
  EXPECT_EQ(*volant::file_size(dir / "train.bin"), 12U);
}

TEST(TokenShard, UsesFourBytesForLargeVocabularies) {
  const ScratchDir dir;
  ASSERT_TRUE(write_token_shard(dir / "train", {{70000, 1}}, 70001));
  EXPECT_EQ(*volant::file_size(dir / "train.bin"), 8U);
  EXPECT_EQ(TokenShard::open(dir / "train")->document(0), (std::vector<int32_t>{70000, 1}));
}

TEST(TokenShard, HoldsNoDocumentsWhenNoneWereWritten) {
  const ScratchDir dir;
  ASSERT_TRUE(write_token_shard(dir / "empty", {}, 100));
  const Result<TokenShard> shard = TokenShard::open(dir / "empty");
  ASSERT_TRUE(shard) << shard.error().to_string();
  EXPECT_EQ(shard->n_documents(), 0U);
  EXPECT_EQ(shard->n_tokens(), 0U);
}

TEST(TokenShard, RefusesIdsOutsideTheVocabularyAndLeavesNothingBehind) {
  const ScratchDir dir;
  const Status written = write_token_shard(dir / "train", {{1}, {100}}, 100);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(TokenShard, NamesTheFileThatIsDamaged) {
  const ScratchDir dir;
  ASSERT_TRUE(write_token_shard(dir / "train", {{1, 2, 3}, {4}}, 100));
  const std::string index = *read_file(dir / "train.idx");
  for (size_t cut = 0; cut < index.size(); ++cut) {
    ASSERT_TRUE(write_file_atomic(dir / "train.idx", index.substr(0, cut)));
    const Result<TokenShard> shard = TokenShard::open(dir / "train");
    ASSERT_FALSE(shard) << cut;
    EXPECT_EQ(shard.error().code, ErrorCode::kParse);
    EXPECT_NE(shard.error().where.find("train.idx"), std::string::npos);
  }
  for (size_t i = 0; i < index.size(); ++i) {  // a wrong byte is an error or at least stays within the file
    std::string bad = index;
    bad[i] = static_cast<char>(bad[i] ^ 0x80);
    ASSERT_TRUE(write_file_atomic(dir / "train.idx", bad));
    EXPECT_FALSE(TokenShard::open(dir / "train")) << i;
  }
}

}  // namespace
}  // namespace volant
