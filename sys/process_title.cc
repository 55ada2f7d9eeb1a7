#include "sys/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace postpone::sys {

namespace {

constexpr std::string_view kPrefix = "postpone: ";

// The memory that the kernel shows as the command line: argv's strings, and behind them the environment's.
struct TitleArea {
  char* begin = nullptr;
  char* end = nullptr;
};
TitleArea area;

// Where the strings live after they have been moved out of the area. Never freed: environ points here until
// exit.
struct MovedStrings {
  std::vector<std::string> strings;
  std::vector<char*> environment;
};

MovedStrings& moved_strings() {
  static auto* const moved = new MovedStrings;
  return *moved;
}

// Extends the area over `text` if that stands right behind it.
void extend_over(char* text) {
  if (text == area.end) area.end = text + std::strlen(text) + 1;
}

char* move_away(const char* text) {
  return moved_strings().strings.emplace_back(text).data();
}

void move_environment() {
  auto& environment = moved_strings().environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(move_away(*entry));
  environment.push_back(nullptr);
  environ = environment.data();
}

}  // namespace

void init_process_title(int argc, char** argv) {
  if (argc < 1) return;
  area = {argv[0], argv[0]};
  std::size_t count = static_cast<std::size_t>(argc);
  for (int i = 0; i < argc; ++i) extend_over(argv[i]);
  for (char** entry = environ; *entry != nullptr; ++entry, ++count) extend_over(*entry);

  moved_strings().strings.reserve(count);  // the pointers handed out must stay good
  for (int i = 0; i < argc; ++i) argv[i] = move_away(argv[i]);
  move_environment();
  program_invocation_name = argv[0];
  char* const slash = std::strrchr(argv[0], '/');
  program_invocation_short_name = slash == nullptr ? argv[0] : slash + 1;
}

void set_process_title(std::string_view title) {
  if (area.begin == nullptr) return;
  // The last byte stays zero. A title that runs over argv's final zero is what makes the kernel read on
  // into the environment; zeroes behind a short one also wipe what the environment had there.
  const auto room = static_cast<std::size_t>(area.end - area.begin) - 1;
  const auto prefix_bytes = std::min(room, kPrefix.size());
  const auto title_bytes = std::min(room - prefix_bytes, title.size());
  std::memcpy(area.begin, kPrefix.data(), prefix_bytes);
  std::memcpy(area.begin + prefix_bytes, title.data(), title_bytes);
  char* const title_end = area.begin + prefix_bytes + title_bytes;
  std::memset(title_end, 0, static_cast<std::size_t>(area.end - title_end));
}

}  // namespace postpone::sys
