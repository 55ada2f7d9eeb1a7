// The processes that the supervisor has started and not reaped yet: each with its pidfd and its leash. This
// class knows how a child speaks and how it ends, and not what follows from that: its owner does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "board/family.h"
#include "board/task_permits.h"
#include "supervisor/crew/member.h"
#include "supervisor/crew/spawn.h"
#include "supervisor/loop.h"
#include "sys/process.h"

namespace postpone::supervisor {

class Children {
 public:
  struct End {
    pid_t pid = 0;
    std::uint32_t generation = 0;
    sys::ExitReport report;
  };
  struct Handlers {
    std::function<void(MemberId, const board::LeashMessage&)> on_message;  // of the incarnation that lives
    std::function<void(std::string)> on_reason;                            // of the preflight
    std::function<void(board::LimitedTask)> on_limit;                      // of the preflight
    std::function<void()> on_heard;             // after one or more messages or reasons of a living child
    std::function<void(MemberId, End)> on_end;  // reaped, after its last words were handed over
  };

  Children(Loop& loop, Handlers handlers);
  ~Children();  // kills and reaps all that live

  // REQUIRES: the member does not live.
  void adopt(MemberId member, Spawned spawned, std::uint32_t generation);
  // Kills and reaps it, if it lives; on_end is not called.
  void drop(MemberId member);
  void drop_all();

  bool lives(MemberId member) const { return children_[member] != nullptr; }
  pid_t pid(MemberId member) const;  // REQUIRES: it lives
  void signal(MemberId member, int signal_number);
  void signal_all(int signal_number);
  std::vector<MemberId> living() const;
  std::vector<pid_t> pids() const;

 private:
  struct Child;
  void await_end(Child& child);
  void await_words(Child& child);
  bool hear(Child& child);
  bool hear_messages(Child& child);
  bool hear_preflight(Child& child);
  void on_preflight_word(std::string_view text);
  void on_end(MemberId member);

  Loop& loop_;
  const Handlers handlers_;
  std::vector<std::unique_ptr<Child>> children_;  // by member
};

}  // namespace postpone::supervisor
