// Running a program for what it writes.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "sys/deadline.h"
#include "sys/proc.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

constexpr std::chrono::milliseconds kSlice{100};

// One stream of the program: what has been read of it, up to a bound.
struct Stream {
  const char* name;
  std::string& text;
  Fd fd;
};

bool names_target(const ProcessSpec& spec, int target) {
  return std::any_of(spec.descriptors.begin(), spec.descriptors.end(),
                     [target](const InheritedFd& descriptor) { return descriptor.target == target; });
}

class Capture {
 public:
  // Throws SpawnError.
  Capture(const ProcessSpec& spec, std::size_t max_bytes) : max_bytes_(max_bytes) {
    try {
      start(spec);
    } catch (const std::system_error& error) {
      throw SpawnError("cannot start " + spec.executable + ": " + error.what(), error.code().value());
    }
  }
  // Before the reaping, while the group's number is surely its own: nothing it forked may outlive it.
  ~Capture() { process_.signal_group(SIGKILL); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  Captured run(std::chrono::milliseconds limit, const std::function<void()>& waiting) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
    for (bool ended = false; !ended && captured_.problem.empty();) {
      ended = read_some(limit, deadline);
      if (waiting) waiting();
    }
    process_.signal_group(SIGKILL);
    captured_.hidden = is_hidden(process_.pid());
    const ExitReport report = process_.reap();
    for (Stream& stream : streams_) drain(stream);
    if (captured_.problem.empty() && (report.signalled || report.code != 0)) {
      captured_.problem = "ended with " + to_string(report);
      if (report.signalled) captured_.end = Captured::End::killed;
    }
    return std::move(captured_);
  }

 private:
  void start(ProcessSpec spec) {
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!nothing) throw_errno("cannot open /dev/null, for a program to read nothing from");
    FdPair output = make_pipe();
    FdPair diagnostics = make_pipe();
    std::erase_if(spec.descriptors, [](const InheritedFd& descriptor) {
      return descriptor.target == STDOUT_FILENO || descriptor.target == STDERR_FILENO;
    });
    spec.descriptors.push_back({output.second.get(), STDOUT_FILENO});
    spec.descriptors.push_back({diagnostics.second.get(), STDERR_FILENO});
    if (nothing && !names_target(spec, STDIN_FILENO)) {
      spec.descriptors.push_back({nothing.get(), STDIN_FILENO});
    }
    spec.own_process_group = true;
    streams_[0].fd = std::move(output.first);
    streams_[1].fd = std::move(diagnostics.first);
    for (const Stream& stream : streams_) set_nonblocking(stream.fd.get());
    process_ = Process::spawn(spec);
  }

  // Waits for output or the end; true when the program has ended.
  bool read_some(std::chrono::milliseconds limit, SteadyTime deadline) {
    std::array<pollfd, 3> descriptors{{{streams_[0].fd.get(), POLLIN, 0},
                                       {streams_[1].fd.get(), POLLIN, 0},
                                       {process_.pidfd(), POLLIN, 0}}};
    const SteadyTime slice = std::chrono::steady_clock::now() + kSlice;
    if (!poll_until(descriptors, std::min(slice, deadline))) {
      if (slice < deadline) return false;
      captured_.problem = "did not end within " + std::to_string(limit.count()) + " ms";
      captured_.end = Captured::End::late;
      return false;
    }
    for (Stream& stream : streams_) drain(stream);
    return descriptors[2].revents != 0;
  }

  // Takes what is there now; the stream is closed at its end.
  void drain(Stream& stream) {
    std::array<char, 16'384> chunk;
    while (stream.fd) {
      const ssize_t got = ::read(stream.fd.get(), chunk.data(), chunk.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0 || !keep(stream, {chunk.data(), static_cast<std::size_t>(got)})) stream.fd.reset();
    }
  }

  bool keep(Stream& stream, std::string_view bytes) {
    const auto room = max_bytes_ - stream.text.size();
    stream.text.append(bytes.substr(0, room));
    if (bytes.size() <= room) return true;
    captured_.problem = "wrote more than " + std::to_string(max_bytes_) + " bytes to " + stream.name;
    return false;
  }

  std::size_t max_bytes_;
  Captured captured_;
  std::array<Stream, 2> streams_{{{"stdout", captured_.output, {}}, {"stderr", captured_.diagnostics, {}}}};
  Process process_;
};

std::string telling_line(std::string_view text) {
  if (!text.starts_with("Traceback (most recent call last)"))
    return std::string(text.substr(0, text.find('\n')));
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

}  // namespace

std::string explain(const Captured& captured) {
  const std::string line = telling_line(captured.diagnostics);
  return captured.problem + (line.empty() ? "" : ": ") + line;
}

bool is_passing(int error_number) {
  constexpr std::array kPassing{EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EINTR, EIO};
  return std::find(kPassing.begin(), kPassing.end(), error_number) != kPassing.end();
}

Captured run_and_capture(const ProcessSpec& spec, std::chrono::milliseconds limit, std::size_t max_bytes,
                         const std::function<void()>& waiting) {
  try {
    return Capture(spec, max_bytes).run(limit, waiting);
  } catch (const SpawnError& error) {
    Captured captured;
    captured.problem = error.what();
    captured.end = Captured::End::not_started;
    captured.error_number = error.error_number();
    return captured;
  }
}

}  // namespace postpone::sys
