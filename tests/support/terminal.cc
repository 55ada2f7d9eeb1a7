#include "tests/support/terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "sys/utf8.h"
#include "tests/support/eventually.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

// Of the characters that tests use; the table of the C library is what is tested.
std::size_t columns_of(const std::string& character) {
  const auto lead = static_cast<unsigned char>(character.front());
  if (lead == 0xCC) return 0;                                   // U+0300…: combining
  const bool is_east_asian = lead >= 0xE3 && lead <= 0xED;      // U+3000…
  const bool is_emoji = character.starts_with("\xF0\x9F\x98");  // U+1F600…
  return is_east_asian || is_emoji ? 2 : 1;
}

}  // namespace

// --- Screen ---

Screen::Screen(std::size_t width, std::size_t height) : width_(width), height_(height) {
  clear();
}

void Screen::clear() {
  rows_.assign(height_, Row(width_, " "));
}

void Screen::resize(std::size_t width, std::size_t height) {
  width_ = width;
  height_ = height;
  rows_.resize(height);
  for (Row& row : rows_) row.resize(width, " ");
  row_ = std::min(row_, height - 1);
  column_ = std::min(column_, width);
}

std::string Screen::text() const {
  std::string all;
  for (const Row& row : rows_) {
    std::string line;
    for (const std::string& cell : row) line += cell;
    line.erase(line.find_last_not_of(' ') + 1);
    all += line + "\n";
  }
  return all;
}

void Screen::next_line() {
  if (++row_ < height_) return;
  row_ = height_ - 1;
  ++scrolled_;
  rows_.erase(rows_.begin());
  rows_.emplace_back(width_, " ");
}

void Screen::take_character(const std::string& character) {
  const std::size_t columns = columns_of(character);
  if (column_ + columns > width_) {
    ++wrapped_;
    column_ = 0;
    next_line();
  }
  if (columns == 0) {
    if (column_ > 0) rows_[row_][column_ - 1] += character;
    return;
  }
  rows_[row_][column_] = character;
  for (std::size_t i = 1; i < columns; ++i) rows_[row_][column_ + i].clear();
  column_ += columns;
}

// Behind the last column the cursor stands on it: what is wiped from there begins with its character.
void Screen::obey(const std::string& parameters, char command) {
  const auto number = static_cast<std::size_t>(std::max(1, std::atoi(parameters.c_str())));
  const std::size_t at = std::min(column_, width_ - 1);
  if (command == 'H') {
    if (!parameters.empty()) throw std::runtime_error("a cursor that goes to " + parameters);
    row_ = column_ = 0;
  } else if (command == 'A') {
    row_ -= std::min(row_, number);
  } else if (command == 'K') {
    std::fill(rows_[row_].begin() + static_cast<std::ptrdiff_t>(at), rows_[row_].end(), " ");
  } else if (command == 'J') {
    std::fill(rows_[row_].begin() + static_cast<std::ptrdiff_t>(at), rows_[row_].end(), " ");
    for (std::size_t row = row_ + 1; row < height_; ++row) rows_[row].assign(width_, " ");
  } else if (parameters == "?1049") {
    other_ = command == 'h';
    clear();
    row_ = column_ = 0;
  } else if (parameters == "?25") {
    cursor_ = command == 'h';
  } else if (command != 'm') {
    throw std::runtime_error("a sequence that no test knows: " + parameters + command);
  }
}

// The bytes of the sequence at the beginning; 0 when it is not complete.
std::size_t Screen::take_sequence(const std::string& bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] != '[') throw std::runtime_error("an escape that no test knows");
  const std::size_t end = bytes.find_first_not_of("0123456789;?", 2);
  if (end == std::string::npos) return 0;
  obey(bytes.substr(2, end - 2), bytes[end]);
  return end + 1;
}

void Screen::take(const std::string& bytes) {
  incomplete_ += bytes;
  while (!incomplete_.empty()) {
    std::size_t used = 1;
    const char c = incomplete_.front();
    if (c == '\x1b') {
      used = take_sequence(incomplete_);
    } else if (c == '\r') {
      column_ = 0;
    } else if (c == '\n') {
      next_line();
    } else {
      used = sys::utf8_character_at(incomplete_, 0);
      if (used > 0) take_character(incomplete_.substr(0, used));
    }
    if (used == 0) return;
    incomplete_.erase(0, used);
  }
}

// --- Terminal ---

Terminal::Terminal(const std::vector<std::string>& command,
                   const std::vector<std::pair<std::string, std::string>>& environment, std::size_t width,
                   std::size_t height)
    : screen_(width, height) {
  const winsize size{static_cast<unsigned short>(height), static_cast<unsigned short>(width), 0, 0};
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int master = -1;
  pid_ = ::forkpty(&master, nullptr, nullptr, &size);
  if (pid_ < 0) sys::throw_errno("forkpty");
  if (pid_ == 0) {
    for (const auto& [name, value] : environment)
      value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
    ::execvp(arguments.front(), arguments.data());
    std::perror(arguments.front());
    ::_exit(127);
  }
  fd_.reset(master);
}

Terminal::~Terminal() {
  if (status_) return;
  send_signal(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Terminal::type(const std::string& keys) const {
  if (::write(fd_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    sys::throw_errno("typing");
}

void Terminal::resize(std::size_t width, std::size_t height) {
  screen_.resize(width, height);
  const winsize size{static_cast<unsigned short>(height), static_cast<unsigned short>(width), 0, 0};
  if (::ioctl(fd_.get(), TIOCSWINSZ, &size) != 0) sys::throw_errno("TIOCSWINSZ");
}

// The end of the program is the end of what comes, as EIO.
void Terminal::read_for(std::chrono::milliseconds limit) {
  pollfd fd{fd_.get(), POLLIN, 0};
  if (::poll(&fd, 1, static_cast<int>(limit.count())) <= 0) return;
  std::array<char, 4096> part{};
  const ssize_t n = ::read(fd_.get(), part.data(), part.size());
  if (n > 0) {
    bytes_.append(part.data(), static_cast<std::size_t>(n));
    screen_.take(std::string(part.data(), static_cast<std::size_t>(n)));
    return;
  }
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool Terminal::until(const std::function<bool()>& condition) {
  return eventually([&] {
    if (condition()) return true;
    read_for(std::chrono::milliseconds(5));
    return condition();
  });
}

bool Terminal::shows(const std::string& text) {
  return until([&] { return screen_.text().find(text) != std::string::npos; });
}

std::optional<int> Terminal::ended() {
  until([this] { return status_.has_value(); });
  return status_;
}

bool Terminal::has_ordinary_keys() const {
  termios modes{};
  if (::tcgetattr(fd_.get(), &modes) != 0) sys::throw_errno("tcgetattr");
  constexpr tcflag_t kOrdinary = ICANON | ECHO | ISIG;
  return (modes.c_lflag & kOrdinary) == kOrdinary;
}

}  // namespace postpone::tests
