// `postpone status` and `postpone top` before a supervisor that the test plays, so that it can hang, break
// off, and have more to tell than any terminal shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sys/fd.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"
#include "tests/support/sample_status.h"
#include "tests/support/signals.h"
#include "tests/support/terminal.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kUnreachable = 4 };

std::string page(const json& status) {
  const std::string body = status.dump() + "\n";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

json sample(int workers) {
  json status = answer(workers);
  status["schema_version"] = 1;
  return status;
}

// A status socket that answers every question with `reply`. Without a reply it leaves the questions open
// until the next call of reply(), which closes their connections.
class PlayedSupervisor {
 public:
  explicit PlayedSupervisor(std::optional<std::string> reply) : reply_(std::move(reply)) {
    std::string path = std::filesystem::temp_directory_path() / "postpone-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) sys::throw_errno("mkdtemp");
    directory_ = path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, this->path().data(), this->path().size());
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 16) != 0)
      sys::throw_errno("listen at " + this->path());
    thread_ = std::thread([this] { serve(); });
  }
  PlayedSupervisor(const PlayedSupervisor&) = delete;
  PlayedSupervisor& operator=(const PlayedSupervisor&) = delete;
  ~PlayedSupervisor() {
    ending_ = true;
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return directory_ + "/status.sock"; }
  void reply(std::optional<std::string> reply) {
    const std::lock_guard lock(mutex_);
    reply_ = std::move(reply);
    held_.clear();
  }
  int unanswered() const { return unanswered_; }  // clients that have no answer yet

 private:
  void serve() {
    while (!ending_) {
      pollfd fd{listener_.get(), POLLIN, 0};
      if (::poll(&fd, 1, 10) <= 0) continue;
      sys::Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client) answer_to(std::move(client));
    }
  }
  void answer_to(sys::Fd client) {
    std::string request;
    char bytes[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::read(client.get(), bytes, sizeof bytes);
      if (n <= 0) return;
      request.append(bytes, static_cast<std::size_t>(n));
    }
    const std::lock_guard lock(mutex_);
    if (!reply_) {
      held_.push_back(std::move(client));
      ++unanswered_;
      return;
    }
    std::string_view rest = *reply_;
    while (!rest.empty()) {
      const ssize_t n = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  const sys::Fd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string directory_;
  std::mutex mutex_;
  std::optional<std::string> reply_;
  std::vector<sys::Fd> held_;
  std::atomic<int> unanswered_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

// --- what is no answer ---

TEST(CliStatus, HalfAnAnswerIsNone) {
  const std::string whole = page(sample(64));
  const PlayedSupervisor supervisor(whole.substr(0, whole.size() / 2));
  for (const char* form : {"--json", ""}) {
    std::vector<std::string> line = {POSTPONE_CLI, "status", "--socket", supervisor.path()};
    if (*form != '\0') line.emplace_back(form);
    const ProgramRun run = run_program(line);
    EXPECT_EQ(run.exit_status, kUnreachable);
    EXPECT_EQ(run.output, "");
    EXPECT_THAT(run.errors, HasSubstr(supervisor.path() + ": the answer ended early\n"));
  }
}

TEST(CliStatus, AnAnswerThatDoesNotTellItsLengthIsNone) {
  const PlayedSupervisor supervisor("HTTP/1.1 200 OK\r\n\r\n{}");
  EXPECT_EQ(run_program({POSTPONE_CLI, "status", "--json", "--socket", supervisor.path()}).exit_status,
            kUnreachable);
}

TEST(CliStatus, AClosedDoorIsNoStranger) {
  const PlayedSupervisor supervisor("");
  const ProgramRun run = run_program({POSTPONE_CLI, "status", "--socket", supervisor.path()});
  EXPECT_EQ(run.exit_status, kUnreachable);
  EXPECT_THAT(run.errors, AllOf(HasSubstr("closed without an answer"), HasSubstr("too many clients"),
                                Not(HasSubstr("no supervisor"))));
}

// The supervisor may close before it has read the question: then the kernel reports that the connection was
// reset.
TEST(CliStatus, ADoorThatIsShutAtOnceIsNoStrangerEither) {
  const std::string path = std::filesystem::temp_directory_path() / ("shut-" + std::to_string(::getpid()));
  const sys::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::thread shutting([&listener] {
    const sys::Fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    pollfd asked{client.get(), POLLIN, 0};
    ::poll(&asked, 1, 40'000);
  });
  const ProgramRun run = run_program({POSTPONE_CLI, "status", "--socket", path});
  shutting.join();
  ::unlink(path.c_str());
  EXPECT_EQ(run.exit_status, kUnreachable);
  EXPECT_THAT(run.errors, HasSubstr("closed without an answer"));
}

// --- colour ---

TEST(CliStatus, IsColouredOnATerminalThatWantsIt) {
  const PlayedSupervisor supervisor(page(sample(2)));
  const auto shown = [&supervisor](const std::string& terminal, const std::string& no_color) {
    Terminal screen({POSTPONE_CLI, "status", "--socket", supervisor.path()},
                    {{"TERM", terminal}, {"NO_COLOR", no_color}});
    EXPECT_EQ(screen.ended(), kDone);
    EXPECT_EQ(screen.screen().wrapped(), 0U);
    return screen.bytes();
  };
  EXPECT_THAT(shown("xterm", ""),
              AllOf(HasSubstr("\x1b[32mrunning\x1b[0m"), HasSubstr("\x1b[31mfailed\x1b[0m")));
  EXPECT_THAT(shown("xterm", "1"), AllOf(HasSubstr("running"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(shown("dumb", ""), AllOf(HasSubstr("running"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(run_program({POSTPONE_CLI, "status", "--socket", supervisor.path()}).output,
              AllOf(HasSubstr("running"), Not(HasSubstr("\x1b"))));
}

// --- top, live ---

class CliTop : public testing::Test {
 protected:
  static std::vector<std::string> top(const PlayedSupervisor& supervisor) {
    return {POSTPONE_CLI, "top", "--socket", supervisor.path(), "--interval", "100ms"};
  }
  static std::vector<std::pair<std::string, std::string>> environment() {
    return {{"TERM", "xterm"}, {"NO_COLOR", ""}};
  }
};

// The sub-worker on the first line below the titles.
std::string first_of(const Screen& screen) {
  const std::string text = screen.text();
  const std::size_t titles = text.find("\nSLOT ");
  if (titles == std::string::npos) return "";
  const std::size_t begin = text.find('\n', titles + 1) + 1;
  return text.substr(begin, text.find(' ', begin) - begin);
}

void expect_given_back(const Terminal& terminal) {
  EXPECT_FALSE(terminal.screen().is_other());
  EXPECT_TRUE(terminal.screen().has_cursor());
  EXPECT_TRUE(terminal.has_ordinary_keys());
}

TEST_F(CliTop, FillsTheScreenAndNoMore) {
  json status = sample(64);
  for (json& one : status["sub_workers"])
    one["job"]["task"] = "\u76BF\u3092\u6D17\u3046\u76BF\u3092\u6D17\u3046\u76BF";
  status["sub_workers"][63]["job"]["task"] = "wash.\U0001F600\U0001F600\U0001F600";
  status["supervisor"]["reasons"] = {std::string(200, 'x')};
  PlayedSupervisor supervisor(page(status));
  Terminal terminal(top(supervisor), environment());
  ASSERT_TRUE(terminal.until([&] { return first_of(terminal.screen()) == "kitchen/63"; }));
  ASSERT_TRUE(terminal.shows("q quits"));
  EXPECT_THAT(terminal.bytes(), HasSubstr("\x1b[32mrunning\x1b[0m"));
  status["supervisor"]["state"] = "paused";
  supervisor.reply(page(status));
  ASSERT_TRUE(terminal.shows("postpone web1: paused, up ")) << "over the page before";
  ASSERT_TRUE(terminal.shows("q quits"));
  EXPECT_THAT(terminal.screen().text(), AllOf(HasSubstr("wash.\U0001F600"), HasSubstr(" more\n")));
  EXPECT_TRUE(terminal.screen().is_other());
  EXPECT_FALSE(terminal.screen().has_cursor());
  terminal.type("q");
  EXPECT_EQ(terminal.ended(), kDone);
  expect_given_back(terminal);
  EXPECT_EQ(terminal.screen().wrapped(), 0U);
  EXPECT_EQ(terminal.screen().scrolled(), 0U);
}

TEST_F(CliTop, KeysChangeTheOrder) {
  const PlayedSupervisor supervisor(page(sample(3)));
  Terminal terminal(top(supervisor), environment());
  const auto is_first = [&terminal](const std::string& name) {
    return terminal.until([&] { return first_of(terminal.screen()) == name; });
  };
  ASSERT_TRUE(is_first("kitchen/2")) << "the longest running";
  terminal.type("m");
  EXPECT_TRUE(is_first("kitchen/0")) << "the largest";
  terminal.type("j");
  EXPECT_TRUE(is_first("kitchen/2")) << "who did most";
  terminal.type("xs");
  EXPECT_TRUE(is_first("kitchen/0")) << "by slot; a key that means nothing does nothing";
  terminal.type("\x03");
  EXPECT_EQ(terminal.ended(), kDone);
  expect_given_back(terminal);
}

TEST_F(CliTop, FollowsTheWindow) {
  const PlayedSupervisor supervisor(page(sample(64)));
  Terminal terminal(top(supervisor), environment());
  ASSERT_TRUE(terminal.shows("q quits"));
  terminal.resize(100, 40);
  EXPECT_TRUE(terminal.shows("kitchen/40")) << terminal.screen().text();
  terminal.type("q");
  EXPECT_EQ(terminal.ended(), kDone);
}

// On a slow machine an attempt may take longer than the client waits for its answer; five in a row do not.
class WhileItHangs : public CliTop, public testing::WithParamInterface<int> {
 protected:
  static constexpr int kAttempts = 5;

  // Whether the client obeyed every key and signal before it stopped waiting for the answer.
  static bool is_heeded(int signal_number) {
    PlayedSupervisor supervisor(page(sample(64)));
    Terminal terminal(top(supervisor), environment());
    EXPECT_TRUE(terminal.until([&] { return first_of(terminal.screen()) == "kitchen/63"; }));
    supervisor.reply(std::nullopt);
    EXPECT_TRUE(terminal.until([&] { return supervisor.unanswered() > 0; }));
    terminal.type("m");
    EXPECT_TRUE(terminal.until([&] { return first_of(terminal.screen()) == "kitchen/0"; }));
    terminal.resize(90, 30);
    EXPECT_TRUE(terminal.shows("kitchen/20"));
    signal_number == 0 ? terminal.type("q") : static_cast<void>(send_signal(terminal.pid(), signal_number));
    EXPECT_EQ(terminal.ended(), kDone);
    expect_given_back(terminal);
    EXPECT_THAT(terminal.bytes(), Not(HasSubstr("Interrupted system call")));
    return terminal.bytes().find("NOT NOW") == std::string::npos;
  }
};

TEST_P(WhileItHangs, TopHearsItsUser) {
  int attempts = 0;
  while (!is_heeded(GetParam()) && !HasFailure()) ASSERT_LT(++attempts, kAttempts);
}

INSTANTIATE_TEST_SUITE_P(Quitting, WhileItHangs, testing::Values(0, SIGTERM, SIGINT, SIGQUIT, SIGHUP),
                         [](const auto& info) {
                           return info.param == 0 ? "AtAKey"
                                                  : "AtSIG" + std::string(::sigabbrev_np(info.param));
                         });

TEST_F(CliTop, TellsOfAHungSupervisorOverThePageThatItSawLast) {
  PlayedSupervisor supervisor(page(sample(64)));
  Terminal terminal(top(supervisor), environment());
  ASSERT_TRUE(terminal.shows("q quits"));
  supervisor.reply(std::nullopt);
  ASSERT_TRUE(terminal.shows("NOT NOW: status socket "));
  ASSERT_TRUE(terminal.until([&] { return supervisor.unanswered() > 1; })) << "it asks again";
  EXPECT_THAT(terminal.screen().text(), AllOf(StartsWith("NOT NOW: "), HasSubstr("\nkitchen/63 ")));
  supervisor.reply(page(sample(64)));
  EXPECT_TRUE(terminal.until([&] { return terminal.screen().text().starts_with("postpone web1: "); }));
  terminal.type("q");
  EXPECT_EQ(terminal.ended(), kDone);
  EXPECT_EQ(terminal.screen().wrapped(), 0U);
  EXPECT_EQ(terminal.screen().scrolled(), 0U);
}

// REQUIRES: the shell has exactly one child.
pid_t child_of(pid_t shell) {
  std::ifstream children("/proc/" + std::to_string(shell) + "/task/" + std::to_string(shell) + "/children");
  pid_t child = 0;
  children >> child;
  return child;
}

TEST_F(CliTop, GivesTheTerminalBackWhileItIsStopped) {
  const PlayedSupervisor supervisor(page(sample(64)));
  Terminal terminal(
      {"bash", "-c", "set -m; \"$@\"; echo \"stopped: $?\"; read -r; fg > /dev/null; echo \"ended: $?\"",
       "bash", POSTPONE_CLI, "top", "--socket", supervisor.path(), "--interval", "100ms"},
      environment());
  ASSERT_TRUE(terminal.shows("q quits"));
  EXPECT_FALSE(terminal.has_ordinary_keys());
  const pid_t top = child_of(terminal.pid());
  ASSERT_GT(top, 0);
  ASSERT_TRUE(send_signal(top, SIGTSTP));
  ASSERT_TRUE(terminal.shows("stopped: " + std::to_string(128 + SIGTSTP)));
  expect_given_back(terminal);
  terminal.type("\n");
  ASSERT_TRUE(terminal.shows("q quits"));
  EXPECT_TRUE(terminal.screen().is_other());
  ASSERT_TRUE(terminal.until([&] { return !terminal.has_ordinary_keys(); }));
  terminal.type("q");
  ASSERT_TRUE(terminal.shows("ended: 0"));
  expect_given_back(terminal);
  EXPECT_EQ(terminal.ended(), kDone);
}

}  // namespace
}  // namespace postpone::tests
