#include "sys/process.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "sys/deadline.h"

namespace postpone::sys {

namespace {

ExitReport report_of(int status, const rusage& usage) {
  ExitReport report;
  report.signalled = WIFSIGNALED(status);
  report.code = report.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  report.core_dumped = report.signalled && WCOREDUMP(status);
  report.max_rss_bytes = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
  report.cpu_time = std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  return report;
}

}  // namespace

SpawnError::SpawnError(const std::string& message, int error_number)
    : std::runtime_error(message), error_number_(error_number) {}

std::string to_string(const ExitReport& report) {
  if (!report.signalled) return "exit status " + std::to_string(report.code);
  const char* const description = ::sigdescr_np(report.code);
  const std::string text = "signal " + std::to_string(report.code);
  return description == nullptr ? text : text + " (" + description + ")";
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

// What stood here before goes the way of ~Process(); moving onto itself changes nothing.
Process& Process::operator=(Process&& other) noexcept {
  Process taken(std::move(other));
  std::swap(pid_, taken.pid_);
  std::swap(pidfd_, taken.pidfd_);
  return *this;
}

Process::~Process() {
  if (pid_ <= 0) return;
  signal(SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Process::signal(int signal_number) noexcept {
  if (pid_ > 0) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal_number, nullptr, 0);
}

void Process::signal_group(int signal_number) noexcept {
  if (pid_ > 0) ::kill(-pid_, signal_number);
}

std::optional<ExitReport> Process::try_reap() {
  return wait(WNOHANG);
}

ExitReport Process::reap() {
  return wait(0).value();
}

std::optional<ExitReport> Process::reap_within(std::chrono::milliseconds limit) {
  if (pid_ <= 0) return std::nullopt;
  wait_readable(pidfd_.get(), std::chrono::steady_clock::now() + limit);
  return try_reap();
}

std::optional<ExitReport> Process::wait(int options) {
  if (pid_ <= 0) return std::nullopt;
  int status = 0;
  rusage usage{};
  pid_t ended = -1;
  do {
    ended = ::wait4(pid_, &status, options, &usage);
  } while (ended < 0 && errno == EINTR);
  if (ended < 0) throw_errno("cannot wait for process " + std::to_string(pid_));
  if (ended == 0) return std::nullopt;
  pid_ = -1;
  pidfd_.reset();
  return report_of(status, usage);
}

}  // namespace postpone::sys
