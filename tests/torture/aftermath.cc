#include "tests/torture/aftermath.h"

#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "board/board.h"
#include "tests/support/eventually.h"

namespace postpone::torture {
namespace {

using tests::eventually;

std::string role_of(const std::string& title) {
  for (const char* role : {"supervisor", "sub-worker", "housekeeper"})
    if (title.starts_with(std::string("postpone: ") + role)) return role;
  return "";
}

std::filesystem::path descriptors_of(pid_t pid) {
  return "/proc/" + std::to_string(pid) + "/fd";
}

bool is_at_rest(const std::string& title) {
  const std::string role = role_of(title);
  return (role == "supervisor" && title.find(": working") != std::string::npos) ||
         (role == "sub-worker" && title.ends_with(": idle")) ||
         (role == "housekeeper" && title.ends_with(": waiting"));
}

bool is_idle(Field& field) {
  for (int i = 0; i < kFamilies; ++i) {
    const auto processes = field.family(i)->processes();
    const auto at_rest = std::count_if(processes.begin(), processes.end(),
                                       [](const auto& process) { return is_at_rest(process.second); });
    if (at_rest != kSubWorkers + 2) return false;
  }
  return true;
}

// The board of a supervisor, as its children see it.
std::optional<board::Board> board_of(pid_t supervisor) {
  for (const auto& entry : std::filesystem::directory_iterator(descriptors_of(supervisor))) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry, ignored).string().find("postpone-board") == std::string::npos)
      continue;
    return board::Board::attach(sys::Fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC)));
  }
  return std::nullopt;
}

// Does this incarnation hold that permit? See tag_of() in board/permit.cc.
bool is_of_the_living(const board::Board& board, std::uint64_t owner) {
  const auto slot = static_cast<std::uint32_t>(owner >> 32) - 1;
  return slot < board.header().slots.load() &&
         board.slot(slot).generation.load() == static_cast<std::uint32_t>(owner) &&
         board.slot(slot).holds_permit.load() != 0;
}

void look_at_board(const board::Board& board, const std::string& family, Complaints& found) {
  for (std::uint32_t i = 0; i < board.header().permits.load(); ++i) {
    const auto owner = board.permit(i).owner.load();
    if (owner != 0 && !is_of_the_living(board, owner))
      found.push_back(family + ": a permit is held by nobody who lives");
  }
  if (board::has_open_grave(board)) found.push_back(family + ": a grave is not settled");
}

void compare(const Descriptors& before, const Descriptors& after, Complaints& found) {
  for (const auto& [role, count] : after) {
    // A sub-worker may have a connection now, and have had none before.
    const std::size_t most = before.at(role) + (role == "sub-worker" ? 1 : 0);
    if (count > most)
      found.push_back("a " + role + " has " + std::to_string(count) + " descriptors open, and had " +
                      std::to_string(before.at(role)) + " at the beginning");
  }
}

std::string family_name(int index) {
  return "family " + std::to_string(index);
}

}  // namespace

Complaints wait_until_idle(Field& field, Database& database) {
  const std::string all = std::to_string(kFamilies * kSubWorkers);
  const auto workers = [&] { return database.value("SELECT count(*) FROM procrastinate_workers"); };
  if (eventually([&] { return is_idle(field) && workers() == all; })) return {};
  Complaints found = {"the families do not come to rest; there are " + workers() + " worker rows, and"};
  for (int i = 0; i < kFamilies; ++i)
    for (const auto& [pid, title] : field.family(i)->processes())
      found.push_back("  " + family_name(i) + ": " + std::to_string(pid) + " " + title);
  return found;
}

Descriptors count_descriptors(Field& field) {
  Descriptors most;
  for (int i = 0; i < kFamilies; ++i)
    for (const auto& [pid, title] : field.family(i)->processes()) {
      const std::string role = role_of(title);
      if (role.empty()) continue;
      const std::filesystem::directory_iterator open(descriptors_of(pid));
      most[role] = std::max(most[role], static_cast<std::size_t>(std::distance(begin(open), end(open))));
    }
  return most;
}

Complaints find_leaks(Field& field, Database& database, const Descriptors& before) {
  Complaints found;
  compare(before, count_descriptors(field), found);
  for (int i = 0; i < kFamilies; ++i) {
    const auto board = board_of(field.family(i)->pid());
    if (board)
      look_at_board(*board, family_name(i), found);
    else
      found.push_back(family_name(i) + ": its supervisor has no board");
  }
  const auto workers = database.value("SELECT count(*) FROM procrastinate_workers");
  if (workers != std::to_string(kFamilies * kSubWorkers))
    found.push_back(workers + " worker rows when all are idle");
  return found;
}

Complaints run_all_at_once(Field& field, Database& database) {
  Complaints found;
  const std::string go = field.journal() + ".go";
  for (int i = 0; i < kFamilies; ++i)
    database.rows("SELECT count(postpone_defer('torture.wait', '{\"file\": \"" + go + "\"}', " +
                  quoted(own_queue(i)) + ")) FROM generate_series(1, " + std::to_string(kSubWorkers) + ")");
  for (int i = 0; i < kFamilies; ++i) {
    const auto running = [&] {
      return database.value(
          "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND queue_name = " +
          quoted(own_queue(i)));
    };
    if (!eventually([&] { return running() == std::to_string(kSubWorkers); }))
      found.push_back(family_name(i) + ": of " + std::to_string(kSubWorkers) + " jobs at once, " + running() +
                      " run");
  }
  std::ofstream(go).put('\n');
  const auto left = [&] {
    return database.value("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')");
  };
  if (!eventually([&] { return left() == "0"; })) found.push_back(left() + " of the jobs at once do not end");
  return found;
}

Complaints drain_all(Field& field, Database& database) {
  Complaints found;
  for (int i = 0; i < kFamilies; ++i) field.family(i)->signal(SIGTERM);
  for (int i = 0; i < kFamilies; ++i) {
    const auto report = field.family(i)->wait();
    if (report.signalled || report.code != 0)
      found.push_back(family_name(i) + " ended with " + sys::to_string(report));
    field.dismiss(i);
  }
  eventually([&] { return field.left_of_dismissed().empty(); });
  for (const std::string& left : field.left_of_dismissed()) found.push_back("a process is left: " + left);
  const auto connections = [&] {
    return database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'postpone %'");
  };
  if (!eventually([&] { return connections() == "0"; }))
    found.push_back(connections() + " connections are left");
  const auto workers = database.value("SELECT count(*) FROM procrastinate_workers");
  if (workers != "0") found.push_back(workers + " worker rows are left");
  return found;
}

}  // namespace postpone::torture
