#include "train/rank_info.h"

#include <gmock/gmock.h>

#include <map>

namespace volant {
namespace {

using ::testing::HasSubstr;

Environment of(const std::map<std::string, std::string>& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(RankInfo, WhereNothingIsSaidItIsAlone) {
  const RankInfo info = rank_info(of({})).value();
  EXPECT_EQ(info.rank, 0);
  EXPECT_EQ(info.size, 1);
}

TEST(RankInfo, TorchrunSaysEverything) {
  const RankInfo info = rank_info(of({{"RANK", "5"},
                                      {"WORLD_SIZE", "8"},
                                      {"LOCAL_RANK", "1"},
                                      {"LOCAL_WORLD_SIZE", "4"},
                                      {"MASTER_ADDR", "node7"},
                                      {"MASTER_PORT", "29400"},
                                      {"SLURM_PROCID", "0"},
                                      {"SLURM_STEP_NUM_TASKS", "2"}}))
                            .value();
  EXPECT_EQ(info.rank, 5);
  EXPECT_EQ(info.size, 8);
  EXPECT_EQ(info.local_rank, 1);
  EXPECT_EQ(info.local_size, 4);
  EXPECT_EQ(info.host, "node7");
  EXPECT_EQ(info.port, 29400);
  EXPECT_EQ(info.agent_key, "");
  const RankInfo by_agent = rank_info(of({{"RANK", "1"},
                                          {"WORLD_SIZE", "2"},
                                          {"MASTER_ADDR", "node7"},
                                          {"MASTER_PORT", "29400"},
                                          {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                          {"TORCHELASTIC_RUN_ID", "a"},
                                          {"TORCHELASTIC_RESTART_COUNT", "3"}}))
                                .value();
  EXPECT_EQ(by_agent.agent_key, "volant/a/3") << "the agent's own store stands at that port";
}

TEST(RankInfo, WhatIsMissingOrNoNumberIsNamed) {
  const auto message = [](const std::map<std::string, std::string>& variables) {
    const auto info = rank_info(of(variables));
    return info ? "" : info.error().message;
  };
  EXPECT_THAT(message({{"RANK", "0"}}), HasSubstr("WORLD_SIZE"));
  EXPECT_THAT(message({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), HasSubstr("RANK: expected 0 to 1, got '2'"));
  EXPECT_THAT(message({{"RANK", "one"}, {"WORLD_SIZE", "2"}}), HasSubstr("got 'one'"));
  EXPECT_THAT(message({{"RANK", "0"}, {"WORLD_SIZE", "2"}}), HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(message({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}), HasSubstr("MASTER_PORT"));
  EXPECT_THAT(message({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}),
              HasSubstr("MASTER_ADDR"));
}

TEST(RankInfo, ATaskOfSlurmMeetsTheOthersOnTheFirstNode) {
  std::map<std::string, std::string> task = {{"SLURM_PROCID", "3"},
                                             {"SLURM_STEP_NUM_TASKS", "5"},
                                             {"SLURM_LOCALID", "0"},
                                             {"SLURM_NODEID", "1"},
                                             {"SLURM_STEP_TASKS_PER_NODE", "3,2"},
                                             {"SLURM_STEP_NODELIST", "gpu[07,09-11]"},
                                             {"SLURM_JOB_ID", "4711"},
                                             {"SLURM_STEP_ID", "0"}};
  const RankInfo info = rank_info(of(task)).value();
  EXPECT_EQ(info.rank, 3);
  EXPECT_EQ(info.size, 5);
  EXPECT_EQ(info.local_size, 2);
  EXPECT_EQ(info.host, "gpu07");
  EXPECT_GE(info.port, 20000);
  EXPECT_LT(info.port, 32000);
  task["SLURM_PROCID"] = "0";
  EXPECT_EQ(rank_info(of(task)).value().port, info.port) << "every rank must find the same";
  task["SLURM_JOB_ID"] = "4712";
  EXPECT_NE(rank_info(of(task)).value().port, info.port);
}

TEST(RankInfo, TheScriptOfABatchJobIsNoRank) {
  EXPECT_EQ(rank_info(of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "1"}})).value().size,
            1);
}

TEST(RankInfo, RanksOfMpiOnOneMachineMeetThere) {
  for (const auto& [rank, size, local] :
       {std::tuple("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        std::tuple("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS")}) {
    const RankInfo info = rank_info(of({{rank, "1"}, {size, "2"}, {local, "2"}})).value();
    EXPECT_EQ(info.rank, 1) << rank;
    EXPECT_EQ(info.local_size, 2) << rank;
    EXPECT_EQ(info.host, "127.0.0.1") << rank;
  }
}

TEST(SlurmLists, FirstHost) {
  EXPECT_EQ(first_host("node03"), "node03");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("node[03-05,9],other"), "node03");
  EXPECT_EQ(first_host("rack[2-3]n[1,4]-ib,x"), "rack2n1-ib");
  EXPECT_EQ(first_host("broken[1"), "broken");
  EXPECT_EQ(first_host(""), "");
}

TEST(SlurmLists, TasksOfANode) {
  for (const auto& [node, tasks] : {std::pair(0, 2), {2, 2}, {3, 1}, {4, 0}})
    EXPECT_EQ(tasks_of_node("2(x3),1", node), tasks) << node;
  EXPECT_EQ(tasks_of_node("", 0), 0);
  EXPECT_EQ(tasks_of_node("2(x", 0), 0);
  EXPECT_EQ(tasks_of_node("many", 0), 0);
}

TEST(ThreadsOfARank, TheJobsNumberStaysAndCoresAreDivided) {
  EXPECT_EQ(threads_of_rank(3, 4), 3);
  EXPECT_EQ(threads_of_rank(0, 1), 0);
  EXPECT_EQ(threads_of_rank(0, 100'000), 1);
}

}  // namespace
}  // namespace volant
