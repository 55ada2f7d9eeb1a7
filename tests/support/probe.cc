// A program that tests start to see a process from within. Each word it knows is one thing to show on stdout.
//
//   descriptors          the numbers of its open descriptors, in order
//   title TEXT           its own command line and environment region, as the kernel shows them, under the
//   title TEXT; and an
//                        argument and a variable as the program itself still sees them
//   guard EXECUTABLE     starts EXECUTABLE with parent-death signal SIGKILL, says its pid, and waits to be
//   killed ring FD SLOT         rings the doorbell of a slot on the board behind a descriptor
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <set>
#include <string>
#include <string_view>

#include "board/board.h"
#include "sys/process.h"
#include "sys/process_title.h"

namespace {

using namespace postpone;

int show_descriptors() {
  std::set<int> numbers;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(directory)) {
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != ::dirfd(directory)) numbers.insert(number);
  }
  ::closedir(directory);
  for (const int number : numbers) std::cout << number << ' ';
  return 0;
}

int show_title(int argc, char** argv) {
  sys::init_process_title(argc, argv);
  std::string title;
  for (int i = 0; i < std::atoi(argv[3]); ++i) title += argv[2];
  sys::set_process_title(title);
  const bool shown = sys::read_whole_file("/proc/self/environ").find("PROBE_SECRET") != std::string::npos;
  std::cout << sys::read_whole_file("/proc/self/cmdline").c_str() << '\n'
            << (shown ? "shown" : "hidden") << '\n'
            << argv[1] << '\n'
            << ::getenv("PROBE_SECRET") << '\n';
  return 0;
}

int guard(const std::string& executable) {
  sys::ProcessSpec spec;
  spec.executable = executable;
  spec.arguments = {"1000"};
  spec.parent_death_signal = SIGKILL;
  const auto child = sys::Process::spawn(spec);
  std::cout << child.pid() << std::endl;
  for (;;) ::pause();
}

int ring(int fd, std::uint32_t slot) {
  const auto board = board::Board::attach(sys::Fd(fd));
  board.slot(slot).doorbell.ring(board::kRungForWork);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == "descriptors") return show_descriptors();
  if (word == "title" && argc == 4) return show_title(argc, argv);
  if (word == "guard" && argc == 3) return guard(argv[2]);
  if (word == "ring" && argc == 4)
    return ring(std::atoi(argv[2]), static_cast<std::uint32_t>(std::atoi(argv[3])));
  std::cerr << "usage: probe descriptors | title TEXT TIMES | guard EXECUTABLE | ring FD SLOT\n";
  return 2;
}
