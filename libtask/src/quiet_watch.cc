#include "quiet_watch.h"

#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

// Of the thread sanitizer, in a program that was built with it.
extern "C" void __tsan_init() __attribute__((weak));

namespace libtask::detail {
namespace {

// The thread sanitizer and valgrind make system calls of their own between the signal and its handler, which would
// end the process.
bool is_instrumented() {
  const char* const preload = std::getenv("LD_PRELOAD");
  return __tsan_init != nullptr || (preload != nullptr && std::strstr(preload, "vgpreload") != nullptr);
}

constexpr char kAllow = 0;  // SYSCALL_DISPATCH_FILTER_ALLOW
constexpr char kBlock = 1;

// What the kernel reads at each system call of the thread, and what the signal handler has to say.
std::atomic<char> g_selector{kAllow};
std::atomic<bool> g_has_called{false};
static_assert(sizeof g_selector == 1 && std::atomic<char>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);

void select(char what) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  g_selector.store(what, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

#if defined(__x86_64__) && defined(PR_SET_SYSCALL_USER_DISPATCH)

bool dispatch(bool on) {
  return prctl(PR_SET_SYSCALL_USER_DISPATCH, on ? PR_SYS_DISPATCH_ON : PR_SYS_DISPATCH_OFF, 0, 0,
               on ? &g_selector : nullptr) == 0;
}

// The registers are as they were before the call, but for the instruction pointer, which stands behind the two
// bytes of the instruction.
void make_the_call(void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] -= 2;
}

#else

bool dispatch(bool /*on*/) {
  return false;
}
void make_the_call(void* /*context*/) {}

#endif

extern "C" void on_system_call(int number, siginfo_t* info, void* context) {
  constexpr int kDispatched = 2;       // SYS_USER_DISPATCH, which glibc does not name
  if (info->si_code != kDispatched) {  // it has the effect that it has without us
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  const int saved = errno;
  select(kAllow);
  g_has_called.store(true, std::memory_order_relaxed);
  dispatch(false);
  make_the_call(context);
  errno = saved;
}

bool is_blocked() {
  sigset_t blocked{};
  return pthread_sigmask(SIG_SETMASK, nullptr, &blocked) != 0 || sigismember(&blocked, SIGSYS) != 0;
}

// A signal handler that the program has set for itself stays.
bool take_signal() {
  struct sigaction action {};
  if (sigaction(SIGSYS, nullptr, &action) != 0) return false;
  if ((action.sa_flags & SA_SIGINFO) != 0) return action.sa_sigaction == on_system_call;
  if (action.sa_handler != SIG_DFL) return false;
  action.sa_sigaction = on_system_call;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  // Another signal handler must not make system calls before this one has allowed them.
  sigfillset(&action.sa_mask);
  return sigaction(SIGSYS, &action, nullptr) == 0;
}

}  // namespace

QuietWatch::QuietWatch() : usable_(!is_blocked() && !is_instrumented()) {}

// Anew after each job that has made system calls, which may have been about this very signal.
bool QuietWatch::arm() {
  usable_ = usable_ && take_signal() && dispatch(true);
  return armed_ = usable_;
}

// To be interrupted by the signal costs as much as a quiet job saves. So a program whose jobs are not quiet is
// watched less and less often, until one of them is.
void QuietWatch::begin() {
  watching_ = false;
  if (!usable_ || __libc_single_threaded == 0) return;
  if (unwatched_ > 0) {
    --unwatched_;
    return;
  }
  if (!armed_ && !arm()) return;
  watching_ = true;
  g_has_called.store(false, std::memory_order_relaxed);
  select(kBlock);
}

bool QuietWatch::end() {
  select(kAllow);
  if (!watching_) return false;
  watching_ = false;
  if (!g_has_called.load(std::memory_order_relaxed)) {
    others_in_a_row_ = 0;
    return true;
  }
  constexpr int kLongestRow = 6;
  armed_ = false;
  others_in_a_row_ = std::min(others_in_a_row_ + 1, kLongestRow);
  unwatched_ = (1 << others_in_a_row_) - 1;
  return false;
}

void QuietWatch::pause() {
  if (armed_) dispatch(false);
  armed_ = false;
}

}  // namespace libtask::detail
