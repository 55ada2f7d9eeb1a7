#include "tests/torture/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace postpone::torture {
namespace {

constexpr std::array kNames = {"start", "beat", "end"};
constexpr const char* kNoLock = "-";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::int64_t boottime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::string to_text(const JournalLine& line) {
  std::string text = std::string(kNames.at(static_cast<std::size_t>(line.sign))) + ' ' +
                     std::to_string(line.job_id) + ' ' + std::to_string(line.attempt) + ' ' +
                     std::to_string(line.pid) + ' ' + std::to_string(line.at_ns) + ' ' +
                     (line.lock.empty() ? kNoLock : line.lock);
  if (text.size() >= kLineBytes) throw std::length_error("too long for the journal: " + text);
  text.resize(kLineBytes - 1, ' ');
  return text + '\n';
}

std::optional<JournalLine> parse_line(std::string_view text) {
  std::istringstream words{std::string(text)};
  std::string name;
  JournalLine line;
  if (!(words >> name >> line.job_id >> line.attempt >> line.pid >> line.at_ns >> line.lock))
    return std::nullopt;
  if (std::string more; words >> more) return std::nullopt;
  if (line.lock == kNoLock) line.lock.clear();
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name != kNames[i]) continue;
    line.sign = static_cast<Sign>(i);
    return line;
  }
  return std::nullopt;
}

std::vector<JournalLine> read_journal(const std::string& path) {
  std::vector<JournalLine> lines;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    auto line = parse_line(text);
    if (!line) throw std::runtime_error(path + ": this is no line of a journal: " + text);
    lines.push_back(std::move(*line));
  }
  return lines;
}

JournalWriter::JournalWriter(const std::string& path)
    : fd_(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail("cannot open the journal " + path);
}

void JournalWriter::write(Sign sign, std::int64_t job_id, int attempt, const std::string& lock) const {
  const std::string text = to_text({sign, job_id, attempt, ::getpid(), boottime_ns(), lock});
  if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail("cannot write the journal");
}

}  // namespace postpone::torture
