#include "serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "channel.h"
#include "execute.h"
#include "stack.h"
#include "surroundings.h"
#include "termination.h"

namespace libtask::detail {
namespace {

constexpr int kProtocolExit = 70;  // EX_SOFTWARE

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

class Server : public JobGiver {
 public:
  Server(const Registry& registry, Channel& channel)
      : registry_(registry), channel_(channel), stack_signal_(tell_stack_when_asked(channel)) {}

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

  void tell_progress(const wire::Progress& progress) override {
    or_exit([&] { channel_.send_if_free(progress); });
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

  void serve_job(const wire::Run& run) {
    forget_termination();
    const wire::Result result = [&] {
      const StackOfJob of_this_job(run.job_id);
      return execute(run, registry_, *this);
    }();
    surroundings_.restore();
    channel_.send(result);
  }

  const Registry& registry_;
  Channel& channel_;
  const std::optional<int> stack_signal_;
  const Surroundings surroundings_;
};

}  // namespace

int serve(const Registry& registry, const char* variable) {
  try {
    Channel channel(variable);
    unsetenv(wire::kChannelVariable);  // a program that a handler starts is not served by this sub-worker
    read_stdin_from_nowhere();
    catch_termination_served();
    Server server(registry, channel);
    if (!server.greet()) return kProtocolExit;
    server.serve_until_closed();
    return 0;
  } catch (const std::runtime_error& error) {
    complain(error.what());
    return kProtocolExit;
  }
}

}  // namespace libtask::detail
