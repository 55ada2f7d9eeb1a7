// What one fetch costs, by what lies before the job that it finds: rows of one shape, thousands of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/compare/contender.h"
#include "bench/figures.h"
#include "tests/support/database.h"

namespace postpone::bench {

struct Shape {
  std::string name;  // in the workload's name: "fetch-own-locks"
  std::string title;
  std::string queue = "'m'";  // of its rows, SQL; `i` is a row's number
  std::string lock = "NULL";
  std::string scheduled_at = "NULL";
  int busy_locks = 0;           // jobs of the locks `busy 0`, `busy 1` … run
  bool have_ended = false;      // the rows are ended jobs
  bool under_snapshot = false;  // they have ended while another session held a snapshot, and it still does
};
const std::vector<Shape>& shapes();

// Behind so many rows of a shape come a thousand plain waiting jobs, of which each fetch takes the first. The
// rows are made once, before the first round.
class FetchBehind : public Contender {
 public:
  FetchBehind(About about, Shape shape, int rows)
      : Contender(std::move(about)), shape_(std::move(shape)), rows_(rows) {}
  // So many fetches of one job, each rolled back.
  Figures measure(const Load& load) override;

 private:
  struct Table {
    tests::TestDatabase database;
    Client client{database.url()};
    Client other{database.url()};  // the session that holds a snapshot
    std::string worker;
  };
  void fill(Table& table) const;
  void make_locks_busy(Table& table) const;
  void settle(Table& table) const;

  Shape shape_;
  int rows_;
  std::optional<Table> table_;
};

}  // namespace postpone::bench
