// The hands of a torture run: they carry out the steps of a schedule on a field, and undo what is to be
// undone (thaw, resume, start again) when its time has come.
//
// A family is one host's: what is stopped or killed there at the same time is chosen by chance, so that a
// sub-worker may well be stopped while its supervisor is killed. Only the tasks of a living host are never
// left running alone: a family that is stopped or killed as a whole is so with its tasks, as when a host
// dies or its clock stands still.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sys/fd.h"
#include "tests/torture/field.h"
#include "tests/torture/rows.h"
#include "tests/torture/schedule.h"

namespace postpone::torture {

// A sub-worker was killed while it ran this job.
struct KilledRun {
  std::int64_t job_id = 0;
  std::int64_t at_ns = 0;  // CLOCK_BOOTTIME
};

class Hands {
 public:
  using Clock = std::chrono::steady_clock;

  Hands(Field& field, Database& database) : field_(field), database_(database) {}

  void carry_out(const Step& step);
  // Undoes what is due.
  void tick();
  // Undoes everything now. All families are there afterwards, and the server runs; jobs whose leases were
  // deleted are still to be rescued: see tick().
  void undo_all();
  bool rescues_pending() const { return !orphaned_.empty(); }

  const std::map<Deed, int>& done() const { return done_; }  // without those that met nobody
  const std::vector<KilledRun>& killed_runs() const { return killed_runs_; }

 private:
  // A process that may be gone, or its number somebody else's, when its turn comes.
  struct Victim {
    pid_t pid;
    sys::Fd pidfd;
    void signal(int signal_number) const;
  };
  struct Stopped {
    Clock::time_point until;
    std::vector<Victim> victims;
  };
  struct Absent {
    Clock::time_point until;
    int family;
  };
  // A job in `doing` whose lease was deleted under it.
  struct Orphaned {
    Clock::time_point rescue_at;
    std::int64_t job_id;
  };

  bool try_to(const Step& step);
  bool kill_one(const Step& step, const std::string& title);
  bool kill_sub_worker(const Step& step);
  bool kill_supervisor(const Step& step);
  bool kill_family(const Step& step);
  bool drain_family(const Step& step);
  bool stop_one(const Step& step, const std::string& title);
  bool stop_family(const Step& step);
  bool pause_family(const Step& step);
  bool restart_server(const Step& step, const char* mode);
  bool change_rows(const std::string& sql);
  bool delete_lease(const Step& step);
  void rescue_orphaned();
  void rescue(std::int64_t job_id);

  Field& field_;
  Database& database_;
  std::vector<Stopped> stopped_;
  std::vector<Absent> absent_;
  std::vector<Orphaned> orphaned_;
  Clock::time_point server_back_at_;
  std::map<Deed, int> done_;
  std::vector<KilledRun> killed_runs_;
};

}  // namespace postpone::torture
