#include "sys/doing.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "sys/fd.h"

namespace postpone::sys {

namespace {

// Empty as well where the kernel refuses, or the process is gone: neither is an error here.
std::string read_or_nothing(const std::string& path) {
  try {
    return read_whole_file(path);
  } catch (const std::system_error&) {
    return {};
  }
}

std::string path_of(pid_t process, pid_t thread, const char* file) {
  return "/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) + "/" + file;
}

// The calls in which a handler is likely to be stuck; others are shown by number.
struct Call {
  long number;
  const char* name;
  bool takes_descriptor;  // as its first argument
};
constexpr std::array kCalls = {
    Call{SYS_read, "read", true},
    Call{SYS_write, "write", true},
    Call{SYS_readv, "readv", true},
    Call{SYS_writev, "writev", true},
    Call{SYS_pread64, "pread64", true},
    Call{SYS_pwrite64, "pwrite64", true},
    Call{SYS_recvfrom, "recvfrom", true},
    Call{SYS_recvmsg, "recvmsg", true},
    Call{SYS_sendto, "sendto", true},
    Call{SYS_sendmsg, "sendmsg", true},
    Call{SYS_connect, "connect", true},
    Call{SYS_accept, "accept", true},
    Call{SYS_accept4, "accept4", true},
    Call{SYS_ioctl, "ioctl", true},
    Call{SYS_fcntl, "fcntl", true},
    Call{SYS_flock, "flock", true},
    Call{SYS_fsync, "fsync", true},
    Call{SYS_fdatasync, "fdatasync", true},
    Call{SYS_epoll_pwait, "epoll_pwait", true},
#ifdef SYS_epoll_wait
    Call{SYS_epoll_wait, "epoll_wait", true},
#endif
#ifdef SYS_poll
    Call{SYS_poll, "poll", false},
#endif
#ifdef SYS_select
    Call{SYS_select, "select", false},
#endif
#ifdef SYS_pause
    Call{SYS_pause, "pause", false},
#endif
#ifdef SYS_open
    Call{SYS_open, "open", false},
#endif
    Call{SYS_ppoll, "ppoll", false},
    Call{SYS_pselect6, "pselect6", false},
    Call{SYS_openat, "openat", false},
    Call{SYS_futex, "futex", false},
    Call{SYS_nanosleep, "nanosleep", false},
    Call{SYS_clock_nanosleep, "clock_nanosleep", false},
    Call{SYS_wait4, "wait4", false},
    Call{SYS_waitid, "waitid", false},
    Call{SYS_rt_sigsuspend, "rt_sigsuspend", false},
    Call{SYS_rt_sigtimedwait, "rt_sigtimedwait", false},
    Call{SYS_restart_syscall, "restart_syscall", false},
};

// "7: pipe:[8242]"
std::string descriptor(pid_t process, const std::string& argument) {
  std::string number = std::to_string(std::strtoul(argument.c_str(), nullptr, 16));
  std::array<char, PATH_MAX> target{};
  const std::string link = "/proc/" + std::to_string(process) + "/fd/" + number;
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return number;
  return number + ": " + std::string(target.data(), static_cast<std::size_t>(length));
}

// From the text of /proc/PID/syscall: "running", or "NUMBER ARGUMENTS… STACK COUNTER", where -1 is none.
std::string system_call(pid_t process, const std::string& text) {
  std::istringstream words(text);
  long number = -1;
  std::string first;
  if (!(words >> number >> first) || number < 0) return {};
  for (const Call& call : kCalls) {
    if (call.number != number) continue;
    return std::string(call.name) + "(" + (call.takes_descriptor ? descriptor(process, first) : "") + ")";
  }
  return "system call " + std::to_string(number);
}

char state_in(const std::string& stat) {
  const auto name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
}

}  // namespace

Doing doing_of(pid_t process, pid_t thread) {
  Doing doing;
  doing.state = state_in(read_or_nothing(path_of(process, thread, "stat")));
  doing.wait_channel = read_or_nothing(path_of(process, thread, "wchan"));
  if (doing.wait_channel == "0") doing.wait_channel.clear();
  doing.system_call = system_call(process, read_or_nothing(path_of(process, thread, "syscall")));
  return doing;
}

std::string to_string(const Doing& doing) {
  std::string where = doing.system_call;
  if (!doing.wait_channel.empty()) where += (where.empty() ? "" : ", ") + doing.wait_channel;
  if (!where.empty()) where.insert(0, " in ");
  switch (doing.state) {
    case 'R':
      return "runs";
    case 'S':
      return "sleeps" + where;
    case 'D':
      return "waits" + where + ", not to be disturbed (for a disk, most often)";
    case 'T':
      return "is stopped (SIGSTOP, or a terminal)";
    case 't':
      return "is stopped by a debugger";
    case 'Z':
    case 'X':
      return "is dead";
    default:
      return "is in an unknown state";
  }
}

std::chrono::microseconds cpu_time_of(pid_t process) {
  clockid_t clock = 0;
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds(time.tv_nsec));
}

bool catches(pid_t process, int signal_number) {
  std::istringstream status(read_or_nothing("/proc/" + std::to_string(process) + "/status"));
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kCaught = "SigCgt:";
    if (!line.starts_with(kCaught)) continue;
    const auto mask = std::strtoull(line.c_str() + kCaught.size(), nullptr, 16);
    return ((mask >> (signal_number - 1)) & 1) != 0;
  }
  return false;
}

}  // namespace postpone::sys
