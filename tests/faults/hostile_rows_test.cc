// The net under the rows: whatever stands in one row of the shared tables, other jobs run, lists list, and
// the row is named.
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/faults/faults.h"
#include "tests/support/cli.h"
#include "tests/support/hostile_rows.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kRows = 150;  // jobs of each half, and about as many events and attempts
constexpr int kOrdinary = 60;

// The same rows each time, unless POSTPONE_HOSTILE_SEED says another seed.
std::uint64_t seed() {
  const char* const given = std::getenv("POSTPONE_HOSTILE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
}

class HostileRowsStory : public Faults {
 protected:
  HostileRowsStory() : trace_(__FILE__, __LINE__, "POSTPONE_HOSTILE_SEED=" + std::to_string(seed())) {}

  // Half of them behind the triggers' back, as a restored dump or another program's load would have it.
  void write_hostile_rows() {
    HostileRows rows(seed());
    // Ids that were given by hand are not in the way of those that the database gives.
    for (const std::string table : {"procrastinate_jobs", "procrastinate_events", "procrastinate_workers",
                                    "procrastinate_periodic_defers"})
      sql("SELECT setval(pg_get_serial_sequence('" + table + "', 'id'), 1000000)");
    sql("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER");
    for (const std::string& statement : rows.statements(kRows)) write(statement);
    sql("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER");
    for (const std::string& statement : rows.statements(kRows)) write(statement);
    ASSERT_GT(std::stoi(sql("SELECT count(*) FROM procrastinate_jobs")), kRows);
  }
  void write(const std::string& statement) {
    try {
      sql(statement);
    } catch (const std::runtime_error& error) {
      ADD_FAILURE() << error.what() << "\n" << statement;
    }
  }

  void defer_ordinary_jobs() {
    sql("SELECT count(postpone_defer('misbehave.noop', queue => 'q', args => '{}', lock => 'ordinary ' || i "
        "% 5))"
        " FROM generate_series(1, " +
        std::to_string(kOrdinary / 2) + ") AS i");
    sql("INSERT INTO ordinary SELECT id FROM procrastinate_jobs WHERE lock LIKE 'ordinary %' ON CONFLICT DO "
        "NOTHING");
  }
  bool ordinary_jobs_succeed() {
    return eventually([&] {
      return sql("SELECT count(*) FROM ordinary JOIN procrastinate_jobs USING (id) WHERE status <> "
                 "'succeeded'") == "0";
    });
  }

  std::string config() const {
    return "[supervisor]\npolling_interval = \"500ms\"\n" + kShortSilence + "\n[status]\nsocket = \"" +
           socket() + "\"\n[stalled]\nforeign_action = \"retry\"\n" + group("q", kMisbehave, 2) +
           "[[group]]\nname = \"any\"\nexecutable = \"" + kMisbehave + "\"\nqueues = []\ncount = 1\n";
  }
  std::string socket() const { return files_.file("status.sock"); }

  ProgramRun cli(std::vector<std::string> arguments) const {
    return postpone_on(database_.url(), std::move(arguments));
  }

  std::vector<std::string> some_ids(int most) const {
    std::istringstream text(
        sql("SELECT string_agg(id::text, ' ') FROM (SELECT id FROM procrastinate_jobs WHERE id > 0 "
            "AND id NOT IN (SELECT id FROM ordinary) ORDER BY hashint8(id) LIMIT " +
            std::to_string(most) + ") AS chosen"));
    return {std::istream_iterator<std::string>(text), {}};
  }
  // Done, or not done and said why.
  void expect_answer(const std::vector<std::string>& arguments) const {
    const ProgramRun run = cli(arguments);
    EXPECT_THAT(run.exit_status, AnyOf(kDone, kNotDone)) << testing::PrintToString(arguments) << "\n"
                                                         << run.errors;
    EXPECT_THAT(run.errors, Not(HasSubstr("SQLSTATE 22"))) << testing::PrintToString(arguments);
  }

  testing::ScopedTrace trace_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string line = "postpone";
  for (const std::string& word : words) line += " " + word;
  return line;
}

// What a terminal would take for an order: control characters but the newline, C1 ones, and those that turn
// the direction of writing.
bool obeys_a_terminal(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n') || c == 0x7f) return true;
    const std::string_view three = std::string_view(text).substr(i, 3);
    if (c == 0xC2 && three.size() > 1 && static_cast<unsigned char>(three[1]) < 0xA0) return true;
    if (three >= "\xE2\x80\xAA" && three <= "\xE2\x80\xAE") return true;
    if (three >= "\xE2\x81\xA6" && three <= "\xE2\x81\xA9") return true;
  }
  return false;
}

// JSON knows no limit of numbers; the parser here has that of a double. Digits that go on for hundreds are
// cut.
std::string with_short_numbers(const std::string& text) {
  std::string cut;
  std::size_t digits = 0;
  for (const char c : text) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits <= 250) cut += c;
  }
  return cut;
}

// Succeeds, as text and as JSON. The text.
#define EXPECT_LISTS(...)                                                                             \
  [&](std::vector<std::string> words) {                                                               \
    const ProgramRun text = cli(words);                                                               \
    EXPECT_EQ(text.exit_status, kDone) << joined(words) << "\n" << text.errors;                       \
    EXPECT_FALSE(obeys_a_terminal(text.output)) << joined(words) << "\n" << json(text.output).dump(); \
    words.push_back("--json");                                                                        \
    const ProgramRun as_json = cli(words);                                                            \
    EXPECT_EQ(as_json.exit_status, kDone) << joined(words) << "\n" << as_json.errors;                 \
    const std::string readable = with_short_numbers(as_json.output);                                  \
    EXPECT_TRUE(json::accept(readable)) << joined(words) << "\n" << as_json.output;                   \
    return json::parse(readable, nullptr, false);                                                     \
  }(std::vector<std::string> __VA_ARGS__)

TEST_F(HostileRowsStory, OtherJobsRunListsListAndTheRowsAreNamed) {
  sql("CREATE TABLE ordinary (id bigint PRIMARY KEY)");
  write_hostile_rows();
  defer_ordinary_jobs();

  Family family(database_.url(), config());
  family.wait_until_ready(3);
  EXPECT_TRUE(ordinary_jobs_succeed()) << family.log();
  defer_ordinary_jobs();
  EXPECT_TRUE(ordinary_jobs_succeed()) << family.log();
  if (std::getenv("POSTPONE_HOSTILE_LOG") != nullptr) std::cout << family.log();
  EXPECT_THAT(family.log(), Not(AnyOf(HasSubstr("SQLSTATE 22"), HasSubstr("ended with exit status"))));

  std::set<std::int64_t> listed;
  const json list = EXPECT_LISTS({"jobs", "list", "--limit", "0"});
  if (list.contains("jobs"))
    for (const json& job : list["jobs"]) listed.insert(job["id"].get<std::int64_t>());
  std::istringstream ids(sql("SELECT string_agg(id::text, ' ') FROM procrastinate_jobs"));
  for (std::int64_t id = 0; ids >> id;) EXPECT_TRUE(listed.contains(id)) << id;
  for (const char* status : {"todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"})
    EXPECT_LISTS({"jobs", "list", "--oldest-first", "--status", status});
  EXPECT_LISTS({"jobs", "count"});
  EXPECT_LISTS({"queues"});
  EXPECT_LISTS({"queues", "--live"});
  EXPECT_LISTS({"tasks"});
  EXPECT_LISTS({"locks", "--limit", "0"});
  EXPECT_LISTS({"workers"});
  EXPECT_LISTS({"stalled", "list"});
  EXPECT_LISTS(
      {"jobs", "purge", "--status", "succeeded,failed,cancelled,aborted", "--older-than", "1h", "--dry-run"});
  EXPECT_LISTS({"status", "--socket", socket()});
  EXPECT_EQ(cli({"top", "--socket", socket(), "--count", "1"}).exit_status, kDone);
  EXPECT_EQ(cli({"healthcheck", "--socket", socket()}).exit_status, kDone);
  EXPECT_EQ(cli({"schema", "check"}).exit_status, kDone);
  EXPECT_EQ(cli({"schema", "apply"}).exit_status, kDone);

  const auto metrics = run_program(
      {"curl", "--silent", "--max-time", "40", "--unix-socket", socket(), "http://localhost/metrics"});
  EXPECT_EQ(metrics.exit_status, 0) << metrics.errors;

  for (const std::string& id : some_ids(40)) {
    const json job = EXPECT_LISTS({"jobs", "show", id});
    EXPECT_TRUE(job.contains("history"));
    expect_answer({"stack", id});
  }
  // What is done to such a row is done, or refused in words: the server's machinery does not give up on it.
  const std::vector<std::string> chosen = some_ids(24);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    static const std::vector<std::vector<std::string>> kDeeds = {{"jobs", "retry", "--even-running"},
                                                                 {"jobs", "cancel", "--abort"},
                                                                 {"jobs", "finish", "--status", "failed"},
                                                                 {"stalled", "rescue"},
                                                                 {"jobs", "retry"},
                                                                 {"jobs", "cancel", "--delete"}};
    std::vector<std::string> words = kDeeds[i % kDeeds.size()];
    words.push_back(chosen[i]);
    expect_answer(words);
  }
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests
