// Connections in which words disappear: they are given up, and what was lost is asked for again.
#include <set>

#include "tests/faults/faults.h"
#include "tests/faults/outage_story.h"
#include "tests/support/tcp_proxy.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

class HalfOpen : public Faults {
 protected:
  std::string proxied() const {
    return database_.url() + " host=127.0.0.1 port=" + std::to_string(proxy_.port());
  }
  static std::string impatient() {
    return "[database]\nconnect_timeout = \"2s\"\nstatement_timeout = \"2s\"\n" + supervisor_keys();
  }
  std::string journal_argument() const { return R"({"ms": 5, "file": ")" + files_.file("journal") + R"("})"; }
  std::multiset<std::int64_t> started() const {
    std::multiset<std::int64_t> ids;
    for (const auto& line : read_journal(files_.file("journal")))
      if (line.what == "start") ids.insert(line.job_id);
    return ids;
  }

  bool is_claimed(const std::string& id) const {
    return sql("SELECT count(*) FROM postpone_claims WHERE job_id = " + id) == "1";
  }

  TcpProxy proxy_{database_.execute("SHOW unix_socket_directories"), database_.execute("SHOW port")};
};

// As PostgreSQL's protocol has two parameters, one behind the other: the ids of the jobs, and their attempts.
const std::string kSuccessOfFirstJob("{1}\0\0\0\3{1}", 10);

TEST_F(HalfOpen, AConnectionThatSwallowsEverythingIsGivenUp) {
  Family family(proxied(), impatient() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  proxy_.swallow_everything();
  touch("go");
  EXPECT_TRUE(eventually([&] { return count_of(family.log(), "no answer from the database") >= 1; }))
      << family.log();
  EXPECT_EQ(status(id), "doing");
  proxy_.heal();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "one execution, recorded once";
  EXPECT_TRUE(listens_again(family, 2)) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << "heard of, as nobody polls\n" << family.log();
}

TEST_F(HalfOpen, AFetchWhoseAnswerIsLostIsGivenBackAndRunsOnce) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to(R"({"q"})");  // the queues of a fetch, whose text the server knows by now
  const auto id = defer("misbehave.journal", journal_argument());
  ASSERT_TRUE(eventually([&] { return proxy_.has_swallowed_answer() && is_claimed(id); }))
      << "the server has committed it\n"
      << family.log();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(started().size(), 1u);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1") << "the doubtful lease is gone";
}

TEST_F(HalfOpen, AFinishWhoseAnswerIsLostIsLookedUp) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1, "fresh_process_per_job = true"));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to(kSuccessOfFirstJob);
  const auto id = defer("misbehave.journal", journal_argument());
  ASSERT_TRUE(eventually([&] { return proxy_.has_swallowed_answer() && status(id) == "succeeded"; }))
      << "the server has committed it\n"
      << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'succeeded' AND job_id = " + id),
            "1");
  EXPECT_EQ(started().size(), 1u);
  EXPECT_THAT(family.log(), Not(HasSubstr("outcome dropped")));
}

TEST_F(HalfOpen, AFinishAndAFetchWhoseAnswerIsLostAreSettledTogether) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to(kSuccessOfFirstJob);
  constexpr int kJobs = 4;
  sql("SELECT count(postpone_defer('misbehave.journal', '" + journal_argument() +
      "', 'q')) FROM generate_series(1, " + std::to_string(kJobs) + ")");
  ASSERT_TRUE(eventually([&] {
    return proxy_.has_swallowed_answer() &&
           sql("SELECT string_agg(status::text, ' ' ORDER BY id) FROM procrastinate_jobs") ==
               "succeeded todo todo todo" &&
           is_claimed("2") && is_claimed("3");
  })) << "the first recorded, two more fetched by somebody who does not know\n"
      << family.log();
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1") ==
           std::to_string(kJobs);
  })) << family.log();
  EXPECT_EQ(started().size(), std::size_t{kJobs}) << "each once";
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), std::to_string(kJobs));
  EXPECT_THAT(family.log(), Not(HasSubstr("outcome dropped")));
}

}  // namespace
}  // namespace postpone::tests
