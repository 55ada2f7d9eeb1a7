// Which limits hold where several task executables have a task.
#include "subworker/preflight/task_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace postpone::subworker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

libtask::wire::Description with(const std::vector<std::pair<std::string, int>>& tasks) {
  libtask::wire::Description description;
  for (const auto& [name, limit] : tasks) {
    libtask::wire::TaskDescription& task = description.tasks.emplace_back();
    task.name = name;
    task.concurrency_limit = limit;
  }
  return description;
}

TEST(TaskLimitsOfAFamily, AreThoseOfItsExecutables) {
  TaskLimits limits;
  limits.add("kitchen", with({{"wash", 2}, {"dry", 0}}));
  limits.add("bar", with({{"wash", 2}, {"mix", 1}}));
  EXPECT_THAT(limits.in_force(), ElementsAre(Pair("mix", 1), Pair("wash", 2)));
  EXPECT_THAT(limits.differences(), IsEmpty());
}

TEST(TaskLimitsOfAFamily, TheSmallestHoldsWhereTheyDiffer) {
  TaskLimits limits;
  limits.add("kitchen", with({{"wash", 3}, {"dry", 0}}));
  limits.add("bar", with({{"wash", 2}, {"dry", 4}}));
  limits.add("cellar", with({{"wash", 5}}));
  EXPECT_THAT(limits.in_force(), ElementsAre(Pair("dry", 4), Pair("wash", 2)));
  EXPECT_THAT(
      limits.differences(),
      ElementsAre(
          "task dry has a concurrency limit of 4 in the executable of [[group]] \"bar\", and none in "
          "that of \"kitchen\": 4 of its jobs run at a time, whichever group runs them",
          "task wash has a concurrency limit of 2 in the executable of [[group]] \"bar\", and of 3 in "
          "that of \"kitchen\": 2 of its jobs run at a time, whichever group runs them"));
}

}  // namespace
}  // namespace postpone::subworker
