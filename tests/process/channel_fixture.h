// A task executable that is served through a channel, with the test in the place of the sub-worker.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "board/ledger.h"
#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "sys/fd.h"
#include "sys/process.h"
#include "tests/support/language.h"

namespace libtask {

inline constexpr auto kGenerous = std::chrono::seconds(30);

using postpone::tests::Language;

// channel_tasks.cc, or its twin.
inline std::string channel_tasks_in(Language language) {
  return language == Language::cpp ? POSTPONE_CHANNEL_TASKS
                                   : POSTPONE_SOURCE_DIR "/tests/process/channel_tasks.py";
}

inline bool readable_within(int fd, std::chrono::milliseconds limit) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, static_cast<int>(limit.count())) == 1;
}

inline std::string read_some(int fd) {
  std::array<char, 65536> bytes{};
  const ssize_t n = read(fd, bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

inline void add_what_is_there(int fd, std::string& all) {
  while (readable_within(fd, std::chrono::milliseconds(0))) {
    const std::string part = read_some(fd);
    if (part.empty()) return;
    all += part;
  }
}

inline std::string read_to_end(int fd) {
  std::string all;
  for (std::string part = read_some(fd); !part.empty(); part = read_some(fd)) all += part;
  return all;
}

// A task process and the sub-worker's end of what it holds.
class Served {
 public:
  enum class Ledger { given, absent };  // as with a sub-worker of version 1

  explicit Served(const std::string& executable, Ledger its_ledger = Ledger::given) {
    auto channel = postpone::sys::make_socketpair(SOCK_STREAM);
    auto out = postpone::sys::make_pipe();
    auto err = postpone::sys::make_pipe();
    postpone::sys::ProcessSpec spec{
        .executable = executable,
        .environment = {{wire::kChannelVariable, "3"}, {"PATH", "/usr/bin:/bin"}},
        .descriptors = {
            {channel.second.get(), wire::kChannelFd}, {out.second.get(), 1}, {err.second.get(), 2}}};
    if (its_ledger == Ledger::given) {
      spec.environment.emplace_back(wire::kLedgerVariable, "4");
      spec.descriptors.push_back({ledger.fd(), wire::kLedgerFd});
    }
    spec.own_process_group = true;
    process = postpone::sys::Process::spawn(spec);
    channel_ = std::move(channel.first);
    out_ = std::move(out.first);
    err_ = std::move(err.first);
  }

  // What its handlers have left goes with it.
  ~Served() { process.signal_group(SIGKILL); }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  void send_bytes(std::string_view bytes) {
    if (send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("the task process does not read");
    }
  }
  void send_frame(const wire::Frame& frame) { send_bytes(wire::encode(frame, version_)); }

  // The next frame, nothing once the channel is closed. Throws when none comes within `limit`.
  std::optional<wire::Frame> receive(std::chrono::milliseconds limit = kGenerous) {
    while (true) {
      if (auto frame = decoder_.next()) {
        if (const auto* hello = std::get_if<wire::Hello>(&*frame)) speak(hello->protocol_version);
        return frame;
      }
      if (!readable_within(channel_.get(), limit)) throw std::runtime_error("no frame came");
      const std::string bytes = read_some(channel_.get());
      if (bytes.empty()) return std::nullopt;
      decoder_.append(bytes);
    }
  }
  template <class T>
  T receive_a() {
    auto frame = receive();
    if (!frame) throw std::runtime_error("the channel was closed");
    return std::get<T>(std::move(*frame));
  }

  wire::Hello welcome() {
    auto hello = receive_a<wire::Hello>();
    send_frame(wire::Welcome{});
    return hello;
  }
  wire::Result run(const std::string& task, const std::string& args = "{}") {
    start(task, args);
    while (true) {
      auto frame = receive();
      if (!frame) throw std::runtime_error("the channel was closed");
      if (auto* result = std::get_if<wire::Result>(&*frame)) return std::move(*result);
    }
  }
  void start(const std::string& task, const std::string& args = "{}") {
    send_frame(wire::Run{.job_id = ++last_job, .task = task, .queue = "default", .args = args});
  }
  // A set of these jobs, of which the first one gets the next number.
  void start_set(const std::vector<wire::Run>& jobs, std::uint64_t max_rss_bytes = 0) {
    wire::Runs runs{.set = ++last_set, .max_rss_bytes = max_rss_bytes, .runs = jobs};
    for (wire::Run& run : runs.runs) run.job_id = ++last_job;
    ledger->cursor.store(wire::to_word({.set = last_set}));
    send_frame(runs);
  }
  wire::Cursor cursor() const { return wire::to_cursor(ledger->cursor.load()); }
  void close_channel() { channel_.reset(); }

  // How it ended, and all it had to say.
  postpone::sys::ExitReport end() {
    const auto report = process.reap_within(kGenerous);
    if (!report) throw std::runtime_error("the task process does not end");
    errors += read_to_end(err_.get());
    output += read_to_end(out_.get());
    return *report;
  }
  // What has come through stdout by now. As a sub-worker does, it empties both pipes: while something is in them, no
  // job of a set is plain.
  std::string output_so_far() {
    add_what_is_there(err_.get(), errors);
    add_what_is_there(out_.get(), output);
    return output;
  }

  postpone::board::Ledger ledger = postpone::board::Ledger::create();
  postpone::sys::Process process;
  std::int64_t last_job = 0;
  std::uint32_t last_set = 0;
  std::string output;
  std::string errors;

 private:
  // As a sub-worker does.
  void speak(std::uint16_t version) {
    version_ = version;
    decoder_.set_version(version);
  }

  postpone::sys::Fd channel_;
  postpone::sys::Fd out_;
  postpone::sys::Fd err_;
  wire::Decoder decoder_;
  std::uint16_t version_ = wire::kProtocolVersion;
};

// What is promised of the channel, to and by task executables in each language.
class Channel : public testing::TestWithParam<Language> {
 protected:
  static std::string misbehave() { return postpone::tests::misbehave_in(GetParam()); }
  static std::string channel_tasks() { return channel_tasks_in(GetParam()); }
  // As the library says it on stderr.
  static std::string said(const std::string& what) {
    return (GetParam() == Language::cpp ? "libtask: " : "postpone_tasks: ") + what + '\n';
  }
};

}  // namespace libtask
