#include "cli/screen/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>

namespace postpone::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // the other screen, no cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr char kCtrlC = 3;

volatile std::sig_atomic_t ending = 0;
termios ordinary;  // the terminal's state before this program, which it gets back
termios raw;       // its state while this program has it

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void on_signal(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // without SA_RESTART, so that a signal ends the wait for a key
  ::sigaction(signal_number, &action, nullptr);
}

// Signal handlers call these two, so they make only calls that are safe there.
void take_terminal() {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  write_all(kEnter);
}

void give_terminal_back() {
  write_all(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &ordinary);
}

// SIGCONT: after a SIGSTOP another program may have used the terminal.
void go_on(int) {
  const int saved = errno;
  take_terminal();
  errno = saved;
}

// SIGTSTP, which another process has sent, since no key sends it in this mode: gives the terminal back,
// stops, and takes the terminal again when SIGCONT comes.
void stop_for_a_while(int signal_number) {
  const int saved = errno;
  give_terminal_back();
  ::signal(SIGTSTP, SIG_DFL);
  sigset_t unblocked;
  sigset_t before;
  ::sigemptyset(&unblocked);
  ::sigaddset(&unblocked, signal_number);
  ::raise(signal_number);
  ::sigprocmask(SIG_UNBLOCK, &unblocked, &before);  // the process stops here
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  on_signal(SIGTSTP, stop_for_a_while);
  // go_on() has done so already, unless the kernel did not stop us (an orphaned process group).
  take_terminal();
  errno = saved;
}

}  // namespace

std::optional<ScreenSize> terminal_size(int descriptor) {
  winsize size{};
  if (::isatty(descriptor) == 0 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return std::nullopt;
  // A terminal that does not know its size is taken for one of 80 by 24.
  return ScreenSize{size.ws_col > 0 ? size.ws_col : 80U, size.ws_row > 0 ? size.ws_row : 24U};
}

FullScreen::FullScreen() {
  if (::tcgetattr(STDIN_FILENO, &ordinary) != 0)
    throw std::system_error(errno, std::generic_category(), "standard input is no terminal");
  raw = ordinary;
  raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO | ISIG));
  for (int signal_number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP})
    on_signal(signal_number, [](int) { ending = 1; });
  on_signal(SIGTSTP, stop_for_a_while);
  on_signal(SIGCONT, go_on);
  on_signal(SIGWINCH, [](int) {});
  take_terminal();
}

FullScreen::~FullScreen() {
  for (int signal_number : {SIGTSTP, SIGCONT}) ::signal(signal_number, SIG_DFL);  // no handler takes it again
  give_terminal_back();
}

// Clears each line and writes the new one, then clears all lines below. Clearing after the text would delete
// the last character of a line that reaches the last column.
void FullScreen::draw(const std::string& page) {
  std::string frame = "\x1b[H";
  const std::string_view whole(page);
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t end = std::min(whole.find('\n', at), whole.size());
    if (at > 0) frame += "\r\n";
    frame.append("\x1b[K").append(whole.substr(at, end - at));
    at = end + 1;
  }
  write_all(frame + "\x1b[J");
}

std::optional<char> FullScreen::key(std::chrono::milliseconds limit) {
  pollfd fd{STDIN_FILENO, POLLIN, 0};
  if (::poll(&fd, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  char pressed = 0;
  const ssize_t n = ::read(STDIN_FILENO, &pressed, 1);
  const bool is_gone = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
  if (is_gone || pressed == kCtrlC) ending = 1;
  return n == 1 ? std::optional(pressed) : std::nullopt;
}

bool FullScreen::is_called() {
  pollfd fd{STDIN_FILENO, POLLIN, 0};
  return wants_to_end() || ::poll(&fd, 1, 0) > 0;
}

bool FullScreen::wants_to_end() {
  return ending != 0;
}

}  // namespace postpone::cli
