// The least that the server or the machine needs for what the contenders do.
#pragma once

#include <utility>

#include "bench/compare/contender.h"

namespace postpone::bench {

// What sub-workers ask of the server, asked by a procedure on as many connections: no wake-up, no process, no
// task.
class SameSql : public Contender {
 public:
  SameSql(About about, int set_size) : Contender(std::move(about)), set_size_(set_size) {}
  Figures measure(const Load& load) override;

 private:
  int set_size_;
};

// Jobs that take time, and a queue that takes none.
class Ideal : public Contender {
 public:
  Ideal() : Contender({"ideal", "as many at a time, nothing between them", Kind::floor}) {}
  Figures measure(const Load& load) override { return {{"jobs_per_s", load.ideal_jobs_per_s()}}; }
};

// A notification, from the statement to another session.
class BareNotify : public Contender {
 public:
  BareNotify() : Contender({"bare NOTIFY", "sent to received, its round trip included", Kind::floor}) {}
  Figures measure(const Load& load) override;
};

// One flush of the disk that temporary files are on, which the server's data are on, too.
class Flush : public Contender {
 public:
  Flush() : Contender({"flush", "fdatasync() after a write of 8 KiB", Kind::floor}) {}
  Figures measure(const Load& load) override;
};

// Rows of the same table, without its triggers: one a statement, or all in one.
class PlainInsert : public Contender {
 public:
  PlainInsert()
      : Contender({"INSERT without triggers", "into the same table; all in one: INSERT … SELECT unnest",
                   Kind::floor}) {}
  Figures measure(const Load& load) override;
};

}  // namespace postpone::bench
