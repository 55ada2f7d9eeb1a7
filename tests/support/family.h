// A real supervisor with its sub-workers, on a test's database.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sys/process.h"
#include "tests/support/files.h"

namespace postpone::tests {

// The text of a [[group]] of that name, whose queue is named after it.
std::string group(const std::string& name, const std::string& executable, int count,
                  const std::string& more = "");

struct FamilyOptions {
  std::vector<std::string> arguments = {};  // of the supervisor, besides --config and --log-level
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string program = {};  // another build of the supervisor, with its sub-worker's program beside it
};

// Starts a supervisor; whatever still lives of it at the end is killed.
class Family {
 public:
  // `config` is the text of the file, without [database]: the url goes in the environment.
  Family(const std::string& database_url, const std::string& config, const FamilyOptions& options = {});
  ~Family();

  // Writes another text into the configuration file. Who is to read it has to be told.
  void rewrite(const std::string& config) const;
  std::string config_path() const { return directory_.file("config.toml"); }

  // Waits until all sub-workers and the housekeeper are ready, and the LISTEN connection listens (unless
  // listen = false). Throws std::runtime_error with the log when the supervisor ends instead.
  void wait_until_ready(int sub_workers, bool listens = true);

  pid_t pid() const { return supervisor_.pid(); }
  // Whether the supervisor itself still runs.
  bool lives();
  void signal(int signal_number) { supervisor_.signal(signal_number); }
  // Waits for its end; throws after a minute.
  sys::ExitReport wait();
  sys::ExitReport stop();  // SIGTERM, then wait()
  // SIGKILL to every process of the family, as when its host dies, until nothing is left.
  void kill_all() const;

  // Every process of the family that lives, with its title or command line: supervisor, sub-workers,
  // housekeeper, task processes and what those have started, orphans too.
  std::map<pid_t, std::string> processes() const;
  // Those whose title begins so: "postpone: sub-worker m/".
  std::vector<pid_t> processes(const std::string& title) const;

  std::string log() const;

 private:
  TemporaryDirectory directory_;
  std::string mark_;
  sys::Process supervisor_;
  std::optional<sys::ExitReport> report_;  // once it has ended
};

// What misbehave.journal and test.beat wrote.
struct JournalLine {
  std::string what;  // start, beat, end
  std::int64_t job_id = 0;
  int attempt = 0;
  pid_t pid = 0;
  std::int64_t at_ns = 0;  // CLOCK_MONOTONIC
};
std::vector<JournalLine> read_journal(const std::string& path);

}  // namespace postpone::tests
