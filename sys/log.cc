#include "sys/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "sys/fd.h"
#include "sys/log_batch.h"
#include "sys/log_line.h"
#include "sys/logger.h"

namespace postpone::sys {

namespace {

constexpr int kPatience_ms = 1000;    // with a reader of our lines that does not read, once
constexpr std::size_t kPiece = 4096;  // PIPE_BUF: what a pipe that is ready takes without waiting

constexpr std::array<std::string_view, 6> kComponents{"supervisor", "subworker", "housekeeper",
                                                      "database",   "job",       "task"};

mode_t mode_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_mode : 0;
}

// Standard error belongs to others, too, so it may not be made non-blocking; a pipe or terminal that we open
// again is ours alone. Empty where that is not allowed (a pipe of another user), cannot be done (a socket),
// or is not needed (a file).
Fd open_stderr_again() {
  const mode_t mode = mode_of(STDERR_FILENO);
  if (!S_ISFIFO(mode) && !S_ISCHR(mode)) return {};
  return Fd(::open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

// Lines to standard error or to a file. One that cannot be written is dropped, and the next one that can be
// comes after a line that says how many were: a full disk must not keep jobs from being run.
class LineSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  // An empty one is standard error.
  void write_to(Fd file) {
    file_ = file ? std::move(file) : open_stderr_again();
    const mode_t mode = file_ ? 0 : mode_of(STDERR_FILENO);
    is_socket_ = S_ISSOCK(mode);
    may_block_ = S_ISFIFO(mode) || S_ISCHR(mode);
    torn_ = false;
  }
  void be_patient(bool patient) { patient_ = patient; }
  // A socket may take what is sent at once for one line.
  void gather() { gathers_ = !is_socket_; }
  void stop_gathering() {
    gathers_ = false;
    write_gathered();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    logger_name_ = message.logger_name;
    if (gathered_.size() + line.size() > kPiece) write_gathered();
    gathered_.append(line.data(), line.size());
    ++lines_;
    if (!gathers_) write_gathered();
  }

  void flush_() override {}

 private:
  // Of lines that were gathered all count as lost that are not known to be written.
  void write_gathered() {
    if (lines_ == 0) return;
    if (!apologise() || !write_behind_torn(gathered_)) lost_ += lines_;
    gathered_.clear();
    lines_ = 0;
  }

  bool apologise() {
    if (lost_ == 0) return true;
    const std::string words = std::to_string(lost_) + " log lines were lost: " + std::strerror(error_);
    spdlog::memory_buf_t line;
    formatter_->format(spdlog::details::log_msg(logger_name_, spdlog::level::warn, words), line);
    if (!write_behind_torn({line.data(), line.size()})) return false;
    lost_ = 0;
    return true;
  }

  bool write_behind_torn(std::string_view lines) {
    return torn_ ? write("\n" + std::string(lines)) : write(lines);
  }

  // Waits once for a reader that does not read, and again only when it has read on.
  bool write(std::string_view bytes) {
    const int fd = file_ ? file_.get() : STDERR_FILENO;
    while (!bytes.empty()) {
      if (may_block_ && !is_ready(fd)) return false;
      const ssize_t n = write_some(fd, bytes);
      if (n > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
        torn_ = !bytes.empty();
        stuck_ = false;
      } else if (n < 0 && errno == EAGAIN) {
        if (!is_ready(fd)) return false;
      } else if (n == 0 || errno != EINTR) {
        error_ = errno;
        return false;
      }
    }
    return true;
  }

  ssize_t write_some(int fd, std::string_view bytes) const {
    if (is_socket_) return ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return ::write(fd, bytes.data(), may_block_ ? std::min(bytes.size(), kPiece) : bytes.size());
  }

  bool is_ready(int fd) {
    pollfd ready{fd, POLLOUT, 0};
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(stuck_ || !patient_ ? 0 : kPatience_ms);
    int found = 0;
    do {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      found = ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    } while (found < 0 && errno == EINTR);
    const bool is = found > 0;
    stuck_ = !is;
    if (!is) error_ = EAGAIN;
    return is;
  }

  Fd file_;                 // empty: standard error, as we inherited it
  bool is_socket_ = false;  // standard error is one
  bool may_block_ = false;  // it waits for its reader
  bool patient_ = true;
  bool stuck_ = false;  // the reader did not read when we waited for it
  std::int64_t lost_ = 0;
  int error_ = 0;
  bool torn_ = false;  // the last line was written in part
  bool gathers_ = false;
  std::string gathered_;  // lines that are not written yet
  std::int64_t lines_ = 0;
  spdlog::string_view_t logger_name_;  // of the last line; loggers live as long as the sink
};

// The log of this process. Never destroyed: there may be something to log to the last.
struct Log {
  LogState state;
  std::string file;
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>();
  std::array<std::shared_ptr<spdlog::logger>, kComponents.size()> loggers;  // by Component; empty before init
};

Log& the_log() {
  static Log* const log = new Log;
  return *log;
}

std::size_t index_of(Component component) {
  return static_cast<std::size_t>(component);
}

// The one of a component; before init_log(), and without a component, the one of the process.
spdlog::logger& logger_of(std::optional<Component> component) {
  const auto& logger = the_log().loggers.at(component ? index_of(*component) : 0);
  return component && logger ? *logger : *spdlog::default_logger_raw();
}

spdlog::level::level_enum spdlog_level(Level level) {
  static_assert(static_cast<int>(Level::critical) == spdlog::level::critical);
  return static_cast<spdlog::level::level_enum>(level);
}

spdlog::level::level_enum level_named(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 5> kLevels{{
      {"trace", spdlog::level::trace},
      {"debug", spdlog::level::debug},
      {"info", spdlog::level::info},
      {"warning", spdlog::level::warn},
      {"error", spdlog::level::err},
  }};
  for (const auto& [known, level] : kLevels) {
    if (name == known) return level;
  }
  throw std::invalid_argument("unknown log level \"" + name + "\": use trace, debug, info, warning or error");
}

std::size_t component_named(const std::string& name) {
  for (std::size_t i = 0; i < kComponents.size(); ++i)
    if (kComponents.at(i) == name) return i;
  throw std::invalid_argument("unknown log component \"" + name + "\"");
}

std::array<spdlog::level::level_enum, kComponents.size()> levels_of(const LogOptions& options) {
  std::array<spdlog::level::level_enum, kComponents.size()> levels{};
  levels.fill(level_named(options.level));
  for (const auto& [component, level] : options.levels)
    levels.at(component_named(component)) = level_named(level);
  return levels;
}

// O_NONBLOCK so that a pipe without a reader is an error instead of an endless wait.
Fd open_log_file(const std::string& path) {
  constexpr mode_t kMode = 0640;
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kMode));
  if (!file) throw_errno("log file " + path);
  return file;
}

// systemd says in JOURNAL_STREAM which descriptor it has connected to the journal: "device:inode".
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

}  // namespace

void init_log(LogIdentity identity, const LogOptions& options) {
  Log& log = the_log();
  log.state.identity = std::move(identity);
  log.sink->be_patient(log.state.identity.may_wait);
  if (!log.loggers.front()) {
    for (std::size_t i = 0; i < kComponents.size(); ++i)
      log.loggers.at(i) = std::make_shared<spdlog::logger>(std::string(kComponents.at(i)), log.sink);
  }
  apply_log(options);
  spdlog::set_default_logger(log.loggers.at(index_of(log.state.identity.component)));
}

void apply_log(const LogOptions& options) {
  Log& log = the_log();
  const auto levels = levels_of(options);
  Fd file = options.file.empty() ? Fd() : open_log_file(options.file);
  const bool journal = !file && stderr_is_the_journal();
  const LogForm text = journal ? LogForm::journal : LogForm::text;
  log.sink->write_to(std::move(file));
  log.sink->set_formatter(make_log_formatter(options.json ? LogForm::json : text, journal, log.state));
  log.file = options.file;
  for (std::size_t i = 0; i < kComponents.size(); ++i) log.loggers.at(i)->set_level(levels.at(i));
}

// A byte for each component, one more than spdlog's number.
std::uint64_t levels_in_a_word(const LogOptions& options) {
  std::uint64_t word = 0;
  for (const auto level : levels_of(options)) word = word << 8U | (static_cast<std::uint64_t>(level) + 1);
  return word;
}

void apply_levels(std::uint64_t word) {
  Log& log = the_log();
  std::uint64_t rest = word;
  for (std::size_t i = 0; i < kComponents.size(); ++i, rest >>= 8U)
    if ((rest & 0xFFU) == 0 || (rest & 0xFFU) > spdlog::level::n_levels) return;  // none of ours
  for (std::size_t i = kComponents.size(); i-- > 0; word >>= 8U)
    log.loggers.at(i)->set_level(static_cast<spdlog::level::level_enum>((word & 0xFFU) - 1));
}

bool reopen_log() {
  Log& log = the_log();
  if (log.file.empty()) return false;
  try {
    log.sink->write_to(open_log_file(log.file));
    return true;
  } catch (const std::system_error& error) {
    sys::log.error("{}; writing on to the old one", error.what());
    return false;
  }
}

LogBatch::LogBatch() {
  the_log().sink->gather();
}

LogBatch::~LogBatch() {
  the_log().sink->stop_gathering();
}

bool Logger::should_log(Level level) const {
  return logger_of(component_).should_log(spdlog_level(level));
}

void Logger::log(Level level, std::string_view text) const {
  logger_of(component_).log(spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
}

void Logger::format(Level level, fmt::string_view text, fmt::format_args values) const {
  spdlog::logger& logger = logger_of(component_);
  if (!logger.should_log(spdlog_level(level))) return;
  logger.log(spdlog_level(level), spdlog::string_view_t(fmt::vformat(text, values)));
}

const Logger& log_of(Component component) {
  static constexpr std::array kLoggers = {Logger(Component::supervisor),  Logger(Component::subworker),
                                          Logger(Component::housekeeper), Logger(Component::database),
                                          Logger(Component::job),         Logger(Component::task)};
  return kLoggers.at(index_of(component));
}

LogContext::LogContext(std::int64_t job_id, std::string task, int attempt, std::string traceparent) {
  the_log().state.job = LoggedJob{job_id, std::move(task), attempt, std::move(traceparent)};
}

LogContext::~LogContext() {
  the_log().state.job.reset();
}

OutsideLogContext::OutsideLogContext() : job_(std::exchange(the_log().state.job, std::nullopt)) {}

OutsideLogContext::~OutsideLogContext() {
  the_log().state.job = std::move(job_);
}

void log_output(std::string_view stream, std::string_view line) {
  LogState& state = the_log().state;
  state.stream = stream;
  log_of(Component::task).info("{}", line);
  state.stream = {};
}

LogFields::LogFields(std::vector<LogField> fields) {
  the_log().state.fields = std::move(fields);
}

LogFields::~LogFields() {
  the_log().state.fields.clear();
}

}  // namespace postpone::sys
