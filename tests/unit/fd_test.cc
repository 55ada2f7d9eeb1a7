#include "sys/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace postpone::sys {
namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
bool closes_on_exec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(Fd, ClosesWhatItOwns) {
  int number = -1;
  {
    const FdPair pipe = make_pipe();
    number = pipe.first.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovingLeavesNothingBehind) {
  FdPair pipe = make_pipe();
  const int number = pipe.first.get();
  Fd taken = std::move(pipe.first);
  EXPECT_EQ(taken.get(), number);
  pipe.second = std::move(taken);
  EXPECT_EQ(pipe.second.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(Fd, ReleasingHandsTheNumberOver) {
  FdPair pipe = make_pipe();
  const int number = pipe.first.release();
  EXPECT_FALSE(pipe.first);
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(Fd, ADuplicateIsAnotherNumberOfTheSameFile) {
  const FdPair pipe = make_pipe();
  const Fd copy = duplicate(pipe.second.get(), 50);
  EXPECT_GE(copy.get(), 50);
  EXPECT_TRUE(closes_on_exec(copy.get()));
  ASSERT_EQ(::write(copy.get(), "x", 1), 1);
  char read = 0;
  EXPECT_EQ(::read(pipe.first.get(), &read, 1), 1);
  EXPECT_THROW(duplicate(-1), std::system_error);
}

TEST(Fd, EverythingIsCloseOnExec) {
  const FdPair pipe = make_pipe();
  const FdPair sockets = make_socketpair(SOCK_SEQPACKET);
  const Fd memory = make_sealed_memfd("test", "text");
  for (const Fd* fd : {&pipe.first, &pipe.second, &sockets.first, &sockets.second, &memory}) {
    EXPECT_TRUE(closes_on_exec(fd->get()));
  }
}

TEST(SealedMemfd, IsReadWholeWhateverTheOffset) {
  const std::string text(100'000, 'x');
  const Fd memory = make_sealed_memfd("test", text);
  ::lseek(memory.get(), 500, SEEK_SET);
  EXPECT_EQ(read_whole(memory.get()), text);
  EXPECT_EQ(read_whole(memory.get()), text);
}

TEST(SealedMemfd, CannotBeChanged) {
  const Fd memory = make_sealed_memfd("test", "text");
  EXPECT_EQ(::pwrite(memory.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(memory.get(), 0), -1);
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(read_whole(memory.get()), "text");
}

TEST(ReadWholeFile, NamesTheFileThatIsNotThere) {
  try {
    read_whole_file("/no/such/file");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    EXPECT_STREQ(error.what(), "cannot read /no/such/file: No such file or directory");
  }
}

TEST(ReadRegularFile, NotWhatIsLargerThanItMayBe) {
  const std::string self = "/proc/self/exe";
  EXPECT_GT(read_regular_file(self).size(), 1000U);
  try {
    read_regular_file(self, 1000);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EFBIG);
  }
}

TEST(NonBlocking, AnEmptyPipeSaysSo) {
  const FdPair pipe = make_pipe();
  set_nonblocking(pipe.first.get());
  char byte = 0;
  EXPECT_EQ(::read(pipe.first.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

}  // namespace
}  // namespace postpone::sys
