#include "tests/support/family.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "sys/fd.h"
#include "tests/support/eventually.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
constexpr const char* kMarkName = "FAMILY_MARK";

int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

std::string title_of(pid_t pid) {
  std::string title = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  for (char& c : title)
    if (c == '\0') c = ' ';
  while (!title.empty() && title.back() == ' ') title.pop_back();
  return title;
}

bool is_dead(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto state = stat.rfind(')');
  return state == std::string::npos || stat.at(state + 2) == 'Z';
}

}  // namespace

std::string group(const std::string& name, const std::string& executable, int count,
                  const std::string& more) {
  return "[[group]]\nname = \"" + name + "\"\nexecutable = \"" + executable + "\"\nqueues = [\"" + name +
         "\"]\ncount = " + std::to_string(count) + "\n" + more + "\n";
}

Family::Family(const std::string& database_url, const std::string& config, const FamilyOptions& options) {
  static int families = 0;
  mark_ = std::to_string(::getpid()) + "." + std::to_string(++families);
  rewrite(config);
  const sys::Fd log(::open(directory_.file("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  sys::ProcessSpec spec;
  spec.executable = options.program.empty() ? POSTPONE_SUPERVISOR : options.program;
  spec.arguments = {"--config", directory_.file("config.toml"), "--log-level", "debug"};
  spec.arguments.insert(spec.arguments.end(), options.arguments.begin(), options.arguments.end());
  spec.environment =
      sys::current_environment([](const std::string& name) { return name == "POSTPONE_DATABASE_URL"; });
  spec.environment.emplace_back("POSTPONE_DATABASE_URL", database_url);
  spec.environment.emplace_back(kMarkName, mark_);
  spec.environment.insert(spec.environment.end(), options.environment.begin(), options.environment.end());
  // Who is not root finds the processes of the family by their environment only where that may be read.
  const bool decided =
      std::any_of(options.environment.begin(), options.environment.end(),
                  [](const auto& variable) { return variable.first == "POSTPONE_DUMPABLE"; });
  if (::geteuid() != 0 && !decided) spec.environment.emplace_back("POSTPONE_DUMPABLE", "1");
  spec.descriptors = {{log.get(), STDOUT_FILENO}, {log.get(), STDERR_FILENO}};
  spec.parent_death_signal = SIGKILL;
  supervisor_ = sys::Process::spawn(spec);
}

Family::~Family() {
  kill_all();
}

// Two looks in a row that find nobody: during one look a process may fork and end, and both go unseen.
void Family::kill_all() const {
  int looks_without_any = 0;
  eventually([&] {
    const auto left = processes();
    for (const auto& [pid, title] : left) send_signal(pid, SIGKILL);
    looks_without_any = left.empty() ? looks_without_any + 1 : 0;
    return looks_without_any == 2;
  });
}

void Family::rewrite(const std::string& config) const {
  std::ofstream(config_path()) << config;
}

void Family::wait_until_ready(int sub_workers, bool listens) {
  const bool ready = eventually([&] {
    const std::string said = log();
    if (const auto report = supervisor_.try_reap())
      throw std::runtime_error("the supervisor ended:\n" + said);
    return count_of(said, " is ready") >= sub_workers + 1 && (!listens || count_of(said, "] listening") >= 1);
  });
  if (!ready) throw std::runtime_error("the family does not get ready:\n" + log());
}

bool Family::lives() {
  if (supervisor_ && !report_) report_ = supervisor_.try_reap();
  return !report_;
}

sys::ExitReport Family::wait() {
  if (!report_) report_ = supervisor_.reap_within(60s);
  if (!report_) throw std::runtime_error("the supervisor does not end:\n" + log());
  return *report_;
}

sys::ExitReport Family::stop() {
  signal(SIGTERM);
  return wait();
}

std::map<pid_t, std::string> Family::processes() const {
  std::map<pid_t, std::string> found;
  const std::string mark = std::string(kMarkName) + "=" + mark_ + '\0';
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || is_dead(pid)) continue;
    // The family's own processes overwrite their environment with a title, but have the log open; task
    // processes have not.
    std::error_code ignored;
    const bool logs = std::filesystem::read_symlink(entry.path() / "fd/2", ignored) == directory_.file("log");
    if (logs || read_file(entry.path() / "environ").find(mark) != std::string::npos)
      found[pid] = title_of(pid);
  }
  return found;
}

std::vector<pid_t> Family::processes(const std::string& title) const {
  std::vector<pid_t> pids;
  for (const auto& [pid, its_title] : processes())
    if (its_title.starts_with(title)) pids.push_back(pid);
  return pids;
}

std::string Family::log() const {
  return read_file(directory_.file("log"));
}

std::vector<JournalLine> read_journal(const std::string& path) {
  std::vector<JournalLine> lines;
  std::istringstream text(read_file(path));
  for (JournalLine line; text >> line.what >> line.job_id >> line.attempt >> line.pid >> line.at_ns;)
    lines.push_back(line);
  return lines;
}

}  // namespace postpone::tests
