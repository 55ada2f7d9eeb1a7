#include "stack.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

namespace libtask::detail {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<Channel*> g_channel{nullptr};
std::atomic<pid_t> g_thread{0};
std::atomic<std::int64_t> g_job{0};
static_assert(std::atomic<Channel*>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

// One of those that programs rarely take; they begin with SIGRTMIN.
int stack_signal() {
  return SIGRTMAX - 1;
}

pid_t this_thread() {
  return static_cast<pid_t>(syscall(SYS_gettid));
}

// The frames above the interrupted one are the signal handler's own.
struct Frames {
  std::array<std::uint64_t, wire::kMaxStackFrames> addresses;
  std::size_t count = 0;
  bool interrupted = false;  // the interrupted frame was reached
};

// The unwinder reads tables that the compiler made; with the glibc and gcc that libtask is built with (2.35,
// 12, or later) it takes no lock to find them.
_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* argument) {
  auto& frames = *static_cast<Frames*>(argument);
  int before = 0;
  const auto address = static_cast<std::uint64_t>(_Unwind_GetIPInfo(context, &before));
  if (address == 0) return _URC_END_OF_STACK;
  if (before != 0 && !frames.interrupted) {
    frames.interrupted = true;
    frames.count = 0;
  }
  if (frames.count == frames.addresses.size()) return _URC_END_OF_STACK;
  frames.addresses[frames.count++] = before != 0 ? address : address - 1;  // within the call, not behind it
  return _URC_NO_REASON;
}

extern "C" void tell_stack(int number) {
  const int saved = errno;
  const pid_t thread = g_thread;
  if (this_thread() != thread) {
    // Another thread was chosen; or this is a forked child, which has no such thread, and says nothing.
    syscall(SYS_tgkill, getpid(), thread, number);
  } else if (const std::int64_t job = g_job; job != 0) {
    Frames frames;
    _Unwind_Backtrace(note_frame, &frames);
    if (!frames.interrupted) frames.count = 0;  // it does not know the way beyond our own frames
    const wire::StackBytes frame(job, thread, frames.addresses.data(), frames.count);
    g_channel.load()->send_from_signal_handler(frame.bytes());
  }
  errno = saved;
}

void ask_again() {
  raise(stack_signal());
}

}  // namespace

std::optional<int> tell_stack_when_asked(Channel& channel) {
#if !__GLIBC_PREREQ(2, 35)
  return std::nullopt;  // the unwinder would take the loader's lock, which the interrupted thread may hold
#endif
  struct sigaction current {};
  if (sigaction(stack_signal(), nullptr, &current) != 0 || current.sa_handler != SIG_DFL) return std::nullopt;
  // The first look loads and prepares what later ones, in a signal handler, only use.
  Frames frames;
  _Unwind_Backtrace(note_frame, &frames);
  channel.when_free(ask_again);
  g_channel = &channel;
  g_thread = this_thread();
  struct sigaction action {};
  action.sa_handler = tell_stack;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(stack_signal(), &action, nullptr) != 0) return std::nullopt;
  return stack_signal();
}

StackOfJob::StackOfJob(std::int64_t job_id) {
  g_job = job_id;
}

StackOfJob::~StackOfJob() {
  g_job = 0;
}

}  // namespace libtask::detail
