#include "subworker/task/channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
namespace wire = libtask::wire;

class AChannel : public testing::Test {
 protected:
  AChannel() {
    auto [ours, theirs] = sys::make_socketpair(SOCK_STREAM);
    sys::set_nonblocking(ours.get());
    channel_ = Channel(std::move(ours));
    task_ = std::move(theirs);
  }
  void task_writes(const std::string& bytes) const {
    ASSERT_EQ(::write(task_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  Channel channel_;
  sys::Fd task_;
};

TEST_F(AChannel, HandsOutWholeFramesAndKeepsTheRest) {
  const std::string frame = wire::encode(wire::Progress{1, 2, 3});
  task_writes(frame + frame.substr(0, 3));
  EXPECT_TRUE(channel_.read());
  EXPECT_TRUE(channel_.next());
  EXPECT_FALSE(channel_.next());
  EXPECT_EQ(channel_.pending(), 3U);
}

TEST_F(AChannel, EndsWithItsOtherEnd) {
  task_writes(wire::encode(wire::Progress{1, 2, 3}));
  task_.reset();
  EXPECT_TRUE(channel_.read());
  EXPECT_TRUE(channel_.next()) << "what came before";
  EXPECT_FALSE(channel_.read());
}

// A handler that reports its progress without an end must still meet its time limit.
TEST_F(AChannel, ReadsOnlyAPartOfWhatNeverEnds) {
  std::thread writer([fd = task_.get()] {
    const std::string much(64UL * 1024, 'x');
    while (::send(fd, much.data(), much.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::size_t most = 0;
  while (channel_.pending() < 16 * Channel::kMostAtOnce) {
    const std::size_t before = channel_.pending();
    ASSERT_TRUE(channel_.read());
    most = std::max(most, channel_.pending() - before);
  }
  EXPECT_LE(most, Channel::kMostAtOnce);
  channel_.close();
  writer.join();
}

TEST_F(AChannel, LosesPatienceWithAFrameThatDoesNotEnd) {
  const Channel::Clock::time_point start(1h);
  task_writes(wire::encode(wire::Progress{1, 2, 3}).substr(0, 3));
  channel_.read();
  EXPECT_NO_THROW(channel_.expect_whole_frames(start));
  EXPECT_NO_THROW(channel_.expect_whole_frames(start + 10s));
  EXPECT_THROW(channel_.expect_whole_frames(start + 11s), wire::ProtocolError);
}

TEST_F(AChannel, IsPatientAsLongAsMoreOfAFrameComes) {
  const std::string frame = wire::encode(wire::Progress{1, 2, 3});
  const Channel::Clock::time_point start(1h);
  for (int i = 0; i < 3; ++i) {
    task_writes(frame.substr(i, 1));
    channel_.read();
    EXPECT_NO_THROW(channel_.expect_whole_frames(start + i * 9s));
  }
}

}  // namespace
}  // namespace postpone::subworker
