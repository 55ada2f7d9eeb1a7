// The shared memory of a family, written over by somebody: whoever finds that out says so and ends. Nobody
// crashes, spins or outlives the rest.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include "board/layout.h"
#include "sys/fd.h"
#include "tests/faults/faults.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

// A family's board, as one of its task processes may get hold of it.
class ForeignBoard {
 public:
  explicit ForeignBoard(pid_t supervisor) {
    const std::string directory = "/proc/" + std::to_string(supervisor) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::error_code ignored;
      if (std::filesystem::read_symlink(entry, ignored).string().find("postpone-board") == std::string::npos)
        continue;
      const sys::Fd fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
      memory_ = ::mmap(nullptr, sizeof(board::Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    }
    if (memory_ == nullptr || memory_ == MAP_FAILED) throw std::runtime_error("no board");
  }
  ForeignBoard(const ForeignBoard&) = delete;
  ForeignBoard& operator=(const ForeignBoard&) = delete;
  ~ForeignBoard() { ::munmap(memory_, sizeof(board::Layout)); }

  // What processes look at in all, for the memory behind it would only be filled for nothing.
  void fill(const std::function<unsigned char()>& next) const {
    fill(0, offsetof(board::Layout, graves) + sizeof(board::Grave), next);
    fill_slot(0, next);
    fill_slot(1, next);
  }
  void fill_slot(std::size_t slot, const std::function<unsigned char()>& next) const {
    fill(offsetof(board::Layout, slots) + slot * sizeof(board::Slot), offsetof(board::Slot, jobs) + 64, next);
  }

 private:
  void fill(std::size_t from, std::size_t bytes, const std::function<unsigned char()>& next) const {
    auto* const begin = static_cast<unsigned char*>(memory_) + from;
    for (std::size_t i = 0; i < bytes; ++i) begin[i] = next();
  }

  void* memory_ = nullptr;
};

struct Pattern {
  const char* name;
  int seed;  // of random bytes; -1 = 0xAA, -2 = 0xFF, -3 = 0
};

class Scribble : public Faults, public testing::WithParamInterface<Pattern> {
 protected:
  static std::function<unsigned char()> bytes() {
    switch (GetParam().seed) {
      case -1:
        return [] { return 0xAA; };
      case -2:
        return [] { return 0xFF; };
      case -3:
        return [] { return 0; };
      default:
        return [random = std::mt19937(static_cast<unsigned>(GetParam().seed))]() mutable {
          return static_cast<unsigned char>(random());
        };
    }
  }
};

TEST_P(Scribble, OverTheWholeBoardEndsTheFamilyAndSaysSo) {
  Family family(database_.url(), supervisor_keys() + "[status]\nsocket = \"" + files_.file("status.sock") +
                                     "\"\n" + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  ASSERT_TRUE(becomes(defer("test.beat", file_argument("journal")), "doing"));
  ForeignBoard(family.pid()).fill(bytes());
  const auto end = family.wait();
  EXPECT_FALSE(end.signalled) << sys::to_string(end) << family.log();
  EXPECT_EQ(end.code, 1) << family.log();
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); })) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("was written over"));
  EXPECT_THAT(family.log(), Not(HasSubstr("signal 11")));
}

TEST_P(Scribble, OverASlotCostsItsSubWorkerAlone) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto sub_worker = family.processes("postpone: sub-worker q/0");
  ASSERT_EQ(sub_worker.size(), 1U);
  ForeignBoard(family.pid()).fill_slot(0, bytes());
  EXPECT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: sub-worker q/0");
    return now.size() == 1 && now != sub_worker;
  })) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("was written over"));
  EXPECT_THAT(family.log(), Not(HasSubstr("signal 11")));
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

INSTANTIATE_TEST_SUITE_P(Patterns, Scribble,
                         testing::Values(Pattern{"AA", -1}, Pattern{"FF", -2}, Pattern{"Zero", -3},
                                         Pattern{"A", 1}, Pattern{"B", 2}, Pattern{"C", 3}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace postpone::tests
