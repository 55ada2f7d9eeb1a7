// Rows that no program of ours would write, and that the tables admit all the same.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace postpone::tests {

// INSERT statements for the shared tables, in which each column has any value that its type and the table's
// constraints admit: null where it may be, the least and the greatest, infinite, negative, zero, empty, the
// longest, and text of every kind. A pure function of the seed.
//
// A statement passes over a row that would stand in the place of another one (ON CONFLICT DO NOTHING); that
// is all that the database may refuse of it.
class HostileRows {
 public:
  explicit HostileRows(std::uint64_t seed) : random_(seed) {}

  std::string worker();          // procrastinate_workers
  std::string leased_worker();   // postpone_workers, of one of those
  std::string job();             // procrastinate_jobs; leased to one of the workers, or to none
  std::string event();           // procrastinate_events, of one of the jobs
  std::string attempt();         // postpone_attempts, of one of the jobs
  std::string periodic_defer();  // procrastinate_periodic_defers, of one of the jobs or of none

  // So many jobs, and of the others what belongs to them.
  std::vector<std::string> statements(int jobs);

  // Queues in which about half of the jobs stand; the others stand in queues of hostile names.
  std::vector<std::string> queues = {"q"};
  // Tasks that about half of the jobs name.
  std::vector<std::string> tasks = {"misbehave.noop"};

 private:
  using Values = std::vector<std::string>;
  const std::string& any_of(const Values& values);
  bool toss() { return random_() % 2 == 0; }
  std::string name(const Values& ordinary);
  std::string text();
  std::string text_or_null();
  std::string integer();
  std::string integer_or_null();
  std::string bigint();
  std::string timestamp();
  std::string timestamp_or_null();
  std::string seconds_or_null();
  std::string id_for(std::int64_t& counter);
  // A row that is there already, as a condition on its id.
  std::string one_of(const std::string& table, const std::string& column);

  std::mt19937_64 random_;
  std::int64_t next_job_id_ = 1000;
  std::int64_t next_worker_id_ = 1000;
  std::int64_t next_event_id_ = 1000;
  std::int64_t next_defer_id_ = 1000;
};

}  // namespace postpone::tests
