// The lease of a sub-worker, and how far it can be trusted. Pure.
//
//   none ──taken──▶ good ──trouble──▶ out of sight ──renewed──▶ good
//    ▲               └──────┬────────────┘
//    │                    doubt
//    └──ended── doubtful ◀──┘
//
//   out of sight  There was trouble with the database. The lease may have been silent for so long that it
//                 counts as fenced, or another host has rescued it. It is renewed before anything is built on
//                 it, since a job that is fetched under a fenced lease is killed at once.
//   doubtful      What was sent under it may still come true, or its row is gone, or one of its outcomes is
//                 left to people. It is settled, and another one taken, before anything else is done.
#pragma once

#include <cstdint>

#include "sql/job.h"

namespace postpone::subworker {

class Lease {
 public:
  sql::WorkerId id() const { return id_; }  // 0 = none
  bool is_held() const { return id_ != 0; }
  bool is_doubtful() const { return doubtful_; }
  bool is_trusted() const { return is_held() && !doubtful_; }
  bool is_out_of_sight() const { return out_of_sight_; }
  // When its taking, or its last renewal by ourselves, was begun (board::boot_ns()).
  std::int64_t since_ns() const { return since_ns_; }

  void taken(sql::WorkerId id, std::int64_t begun_ns) {
    id_ = id;
    since_ns_ = begun_ns;
  }
  void trouble() { out_of_sight_ = true; }
  // A heartbeat of it that was begun then is stored.
  void renewed(std::int64_t begun_ns) { since_ns_ = begun_ns; }
  void in_sight() { out_of_sight_ = false; }
  // REQUIRES: held.
  void doubt() { doubtful_ = true; }
  // Settled, abandoned or deleted.
  void ended() {
    id_ = 0;
    doubtful_ = false;
  }

 private:
  sql::WorkerId id_ = 0;
  std::int64_t since_ns_ = 0;
  bool doubtful_ = false;
  bool out_of_sight_ = false;
};

}  // namespace postpone::subworker
