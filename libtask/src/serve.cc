#include "serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "channel.h"
#include "execute.h"
#include "process_life.h"
#include "quiet_watch.h"
#include "stack.h"
#include "surroundings.h"
#include "task_ledger.h"
#include "termination.h"
#include "traces.h"
#include "usage_meter.h"

namespace libtask::detail {
namespace {

constexpr int kProtocolExit = 70;  // EX_SOFTWARE
constexpr int kSetUpExit = 1;

void complain(const std::string& message) {
  std::fprintf(stderr, "libtask: %s\n", message.c_str());
}

// A handler that fails to read is better off than one that waits for a person to type.
void read_stdin_from_nowhere() {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return;
  dup2(null, STDIN_FILENO);
  if (null != STDIN_FILENO) close(null);
}

AbortReason reason_of(wire::Abort::Reason reason) {
  switch (reason) {
    case wire::Abort::Reason::requested:
      return AbortReason::requested;
    case wire::Abort::Reason::time_limit:
      return AbortReason::time_limit;
    case wire::Abort::Reason::shutdown:
      return AbortReason::shutdown;
  }
  return AbortReason::requested;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Server : public JobGiver {
 public:
  Server(const Registry& registry, Channel& channel, TaskLedger& ledger)
      : registry_(registry),
        channel_(channel),
        ledger_(ledger),
        stack_signal_(tell_stack_when_asked(channel)) {}

  // Whether the sub-worker takes us.
  bool greet() {
    channel_.send(
        wire::Hello{.libtask_version = POSTPONE_VERSION, .description = describe(registry_, stack_signal_)});
    const auto answer = channel_.receive();
    if (!answer) throw ChannelError("the sub-worker closed the channel instead of answering the hello");
    if (const auto* refusal = std::get_if<wire::Refuse>(&*answer)) {
      complain("the sub-worker refuses this task executable: " + refusal->reason);
      return false;
    }
    if (!std::holds_alternative<wire::Welcome>(*answer)) {
      throw wire::ProtocolError("the sub-worker answered the hello neither with welcome nor with refuse");
    }
    return true;
  }

  void serve_until_closed() {
    while (const auto frame = channel_.receive()) {
      if (const auto* run = std::get_if<wire::Run>(&*frame)) {
        serve_job(*run);
      } else if (const auto* runs = std::get_if<wire::Runs>(&*frame)) {
        serve_set(*runs);
      } else if (!std::holds_alternative<wire::Abort>(*frame)) {  // an abort may come too late for its job
        throw wire::ProtocolError("the sub-worker sent a frame that only task processes send");
      }
    }
  }

  // An error on the channel while the handler runs is not the handler's: the process ends here, where no
  // handler can catch it.
  std::optional<AbortReason> stop_wish(std::int64_t job_id) override {
    return or_exit([&]() -> std::optional<AbortReason> {
      while (const auto frame = channel_.poll()) {
        const auto* abort = std::get_if<wire::Abort>(&*frame);
        if (abort == nullptr)
          throw wire::ProtocolError("the sub-worker sent something else than abort while a job runs");
        if (abort->job_id == job_id) return reason_of(abort->reason);
      }
      if (channel_.closed()) return AbortReason::shutdown;
      return std::nullopt;
    });
  }

  int stop_descriptor() const override { return channel_.descriptor(); }

  void tell_progress(const wire::Progress& progress) override {
    has_told_ = true;
    or_exit([&] { channel_.send_if_free(progress); });
  }

  void tell_value(const wire::Value& value) override {
    has_told_ = true;
    or_exit([&] { channel_.send(value); });
  }

  void log(const wire::Log& line) override {
    has_told_ = true;
    or_exit([&] { channel_.send(line); });
  }

 private:
  template <class Action>
  static auto or_exit(Action action) -> decltype(action()) {
    try {
      return action();
    } catch (const std::runtime_error& error) {
      complain(error.what());
      std::_Exit(kProtocolExit);
    }
  }

  struct Ran {
    wire::Result result;
    bool waited_for_children = false;
    bool quiet = false;
    std::int64_t ended_ns = 0;
  };

  // What a quiet job has used is known at its end, and nothing need be put back after it.
  Ran run_job(const wire::Run& run, std::int64_t started_ns) {
    forget_termination();
    Ran ran;
    {
      const StackOfJob of_this_job(run.job_id);
      ran.result = execute(run, registry_, *this);
    }
    ran.quiet = quiet_.end();
    ran.ended_ns = now_ns();
    const UsageMeter::Usage used =
        ran.quiet ? usage_.end_quiet(std::chrono::nanoseconds(ran.ended_ns - started_ns)) : usage_.end();
    ran.result.cpu_us = used.cpu_us;
    ran.result.max_rss_bytes = used.max_rss_bytes;
    ran.waited_for_children = used.waited_for_children;
    if (!ran.quiet) surroundings_.restore();
    return ran;
  }

  void serve_job(const wire::Run& run) {
    quiet_.pause();
    usage_.begin();
    channel_.send(run_job(run, now_ns()).result);
  }

  // Until a job is the last one, is not plain, or was singled out: it alone has a result.
  void serve_set(const wire::Runs& runs) {
    if (!ledger_.exists()) throw wire::ProtocolError("the sub-worker sent a set, but no ledger");
    usage_.begin();
    wire::PlainRun time{.ended_ns = now_ns()};
    ledger_.begins(time.ended_ns);
    for (std::uint32_t index = 0;; ++index) {
      traces_.begin();
      has_told_ = false;
      quiet_.begin();
      const Ran ran = run_job(runs.runs[index], time.ended_ns);
      time = {.started_ns = time.ended_ns,
              .ended_ns = ran.ended_ns,
              .cpu_us = ran.result.cpu_us,
              .max_rss_bytes = ran.result.max_rss_bytes};
      const bool is_last = index + 1 == runs.runs.size();
      if (is_last || !is_plain(ran, runs.max_rss_bytes) || !ledger_.passes(runs.set, index, time))
        return channel_.send(ran.result);
    }
  }

  // Is nothing to be said of the job but that it has succeeded, and is nothing else to be seen of it?
  bool is_plain(const Ran& ran, std::uint64_t max_rss_bytes) const {
    const wire::Result& result = ran.result;
    return result.status == wire::ResultStatus::succeeded && result.defers.empty() && !has_told_ &&
           !ran.waited_for_children && (max_rss_bytes == 0 || result.max_rss_bytes <= max_rss_bytes) &&
           !termination_wish() && (ran.quiet || traces_.are_none());
  }

  const Registry& registry_;
  Channel& channel_;
  TaskLedger& ledger_;
  const std::optional<int> stack_signal_;
  const Surroundings surroundings_;
  Traces traces_;
  UsageMeter usage_;
  QuietWatch quiet_;
  bool has_told_ = false;  // its progress, its result or a line for the log, the job that runs
};

}  // namespace

int serve(const Registry& registry, const char* variable) {
  try {
    Channel channel(variable);
    TaskLedger ledger(std::getenv(wire::kLedgerVariable));
    unsetenv(wire::kChannelVariable);  // a program that a handler starts is not served by this sub-worker
    unsetenv(wire::kLedgerVariable);
    read_stdin_from_nowhere();
    catch_termination_served();
    if (!set_up(registry)) return kSetUpExit;
    {
      Server server(registry, channel, ledger);
      if (!server.greet()) return kProtocolExit;
      server.serve_until_closed();
    }
    return tear_down(registry) ? 0 : kSetUpExit;
  } catch (const std::runtime_error& error) {
    complain(error.what());
    return kProtocolExit;
  }
}

}  // namespace libtask::detail
