// Whether it was the kernel, for want of memory, that sent a SIGKILL. How a process ends does not show it;
// counters of the kernel do.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::sys {

// The value of a line "<name> <number>" in the text of memory.events, /proc/vmstat and the like; nothing when
// it has no such line. Pure.
std::optional<std::uint64_t> counter_in(std::string_view text, std::string_view name);

// Remembers the counters, and says what has happened since. Not thread-safe.
class OomWitness {
 public:
  enum class Verdict {
    no,        // the kernel killed no process
    probable,  // it killed one on this host, or in our cgroup
    certain,   // it killed one in a cgroup that holds the suspects alone
  };

  // `cgroup`: the directory of a cgroup (version 2) that holds the suspects and no other process; empty =
  // there is none.
  explicit OomWitness(std::string cgroup = "");

  // Remembers the present counters: what came before does not count. Reads two or three files, some 50 us.
  void look();
  // How long ago the last look() was.
  std::chrono::nanoseconds age() const;
  Verdict verdict() const;

 private:
  struct Counters {
    std::optional<std::uint64_t> cgroup;      // memory.events: oom_kill
    std::optional<std::uint64_t> own_cgroup;  // the same, where this process lives
    std::optional<std::uint64_t> host;        // /proc/vmstat: oom_kill, those in cgroups included
  };
  Counters read() const;

  std::string cgroup_;
  std::string own_cgroup_;
  Counters seen_;
  std::chrono::steady_clock::time_point seen_at_;
};

// The score of this process, -1000 to 1000: when memory runs out, the kernel kills processes with a high
// score first. A process may raise its score, and lower it again to what it was; more takes CAP_SYS_RESOURCE.
// False when the kernel refuses, and nothing has changed.
int oom_score_adj();
bool set_oom_score_adj(int score);
bool set_oom_score_adj_of(pid_t process, int score);

// Keeps the file of this process's score open, since forbid_inspection() gives it to root.
void keep_oom_score_open();
bool keeps_oom_score_open();
inline constexpr int kHighestOomScoreAdj = 1000;

}  // namespace postpone::sys
