// How a new configuration comes into force: SIGHUP, the file is read, a preflight checks it, and then, all at
// once, the family takes it. Before the preflight has ended well nothing is changed; afterwards nothing can
// go wrong any more but what can go wrong with any member at any time.
//
//   at rest ──request──▶ read ──▶ checking ──▶ taken: take(), on_end(true)
//                          │         │
//                          └─────────┴──────▶ refused: on_end(false), everything stays as it was
//
// A request that comes while a check runs ends that check, and the file is read again: it may be another one
// by now, and the check may be waiting for the database.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "supervisor/configuration.h"
#include "supervisor/reload/change.h"
#include "sys/file_stamp.h"
#include "sys/process.h"

namespace postpone::supervisor {

class Reload {
 public:
  // What is done on its behalf.
  struct Handlers {
    std::function<void()> on_begin;
    std::function<void(int config_fd)> start_check;  // starts a preflight; throws when none can be had
    std::function<void()> stop_check;                // asks it to end
    std::function<void(Configuration next, const Change& change)> take;
    std::function<void(bool ok, const std::string& message)> on_end;
  };

  // `in_force` must outlive it, and changes in take().
  Reload(ConfigurationFile file, const Configuration& in_force, Handlers handlers);

  // SIGHUP. `may_begin`: the family works; else the file is read when begin_if_requested() is called.
  void request(bool may_begin);
  void begin_if_requested();
  // The family ends: what the check finds is of no interest any more.
  void abandon() { pending_.reset(); }

  // Of the check.
  bool is_checking() const { return pending_.has_value(); }
  void on_reason(std::string reason);
  void on_checked(const sys::ExitReport& report);

 private:
  using Stamps = std::map<std::string, sys::FileStamp>;  // by the path of a task executable

  // A new configuration while its task executables and the schema are checked.
  struct Pending {
    Configuration next;
    Change change;
    std::string fixed;  // what cannot change, for people; empty = nothing of it was to
    Stamps stamps;
    std::string reason;  // why it cannot be taken: the first of …
    int reasons = 0;     // … so many
  };

  void begin();
  void check(Configuration next);
  Configuration with_fixed_keys(Configuration next, std::string& fixed) const;
  void end(bool ok, const std::string& message);

  const ConfigurationFile file_;
  const Configuration& in_force_;
  const Handlers handlers_;
  Stamps stamps_;  // of the task executables that are known to be good
  std::optional<Pending> pending_;
  bool requested_ = false;  // while a check, or the start, was going on
};

}  // namespace postpone::supervisor
