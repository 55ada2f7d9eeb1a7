#include "cli/defer/ndjson.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/screen/progress_line.h"
#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

sql::DeferRequest job_of(std::string_view line, const sql::DeferRequest& defaults = {}) {
  const auto parsed = parse_job_line(line, defaults);
  if (const auto* problem = std::get_if<LineProblem>(&parsed)) {
    ADD_FAILURE() << line << ": " << problem->message;
    return {};
  }
  return std::get<sql::DeferRequest>(parsed);
}

// "12: what is wrong"
std::string problem_of(std::string_view line) {
  const auto parsed = parse_job_line(line, {});
  const auto* problem = std::get_if<LineProblem>(&parsed);
  return problem == nullptr ? "none" : std::to_string(problem->column) + ": " + problem->message;
}

TEST(JobLines, SayAllThatAJobMayHave) {
  const sql::DeferRequest job = job_of(
      R"( {"task": "wash", "args" : {"dish": "a \"}\" b", "n": [1, {"m": 2}]}, "queue":"kitchen","priority":-5, )"
      R"("lock": "sink", "queueing_lock": "once", "scheduled_at": "2030-01-01T12:00:00Z", )"
      R"("on_conflict": "keep", "meta": {"tenant": 1.10} } )");
  EXPECT_EQ(job.task, "wash");
  EXPECT_EQ(job.args, R"({"dish": "a \"}\" b", "n": [1, {"m": 2}]})");
  EXPECT_EQ(job.queue, "kitchen");
  EXPECT_EQ(job.priority, -5);
  EXPECT_EQ(job.lock, "sink");
  EXPECT_EQ(job.queueing_lock, "once");
  EXPECT_EQ(to_iso(job.scheduled_at.value()), "2030-01-01T12:00:00.000000Z");
  EXPECT_EQ(job.on_conflict, sql::OnConflict::keep);
  EXPECT_EQ(job.meta, R"({"tenant": 1.10})");
}

TEST(JobLines, KeepNumbersAsTheyAreWritten) {
  EXPECT_EQ(job_of(R"({"task":"a","args":{"n":12345678901234567890123,"p":1.10}})").args,
            R"({"n":12345678901234567890123,"p":1.10})");
}

TEST(JobLines, LeaveTheRestToTheDefaults) {
  sql::DeferRequest defaults;
  defaults.task = "wash";
  defaults.queue = "kitchen";
  defaults.priority = 3;
  defaults.scheduled_in = 5min;
  const sql::DeferRequest job = job_of(R"({"queue": null, "priority": 4})", defaults);
  EXPECT_EQ(job.task, "wash");
  EXPECT_EQ(job.queue, "kitchen");
  EXPECT_EQ(job.priority, 4);
  EXPECT_TRUE(job.scheduled_in.has_value());
  EXPECT_FALSE(job_of(R"({"scheduled_at": "2030-01-01"})", defaults).scheduled_in.has_value());
  EXPECT_EQ(job_of("{}", defaults).task, "wash");
}

TEST(JobLines, AreRefusedWithThePlaceAndTheKey) {
  EXPECT_THAT(problem_of(R"({"task": wash})"), HasSubstr("10: not valid JSON: "));
  EXPECT_THAT(problem_of("[]"), HasSubstr("1: a JSON object is needed"));
  EXPECT_EQ(problem_of("{}"), "1: \"task\" is missing");
  EXPECT_EQ(problem_of(R"({"task": "a", "qeue": "b"})"),
            "15: \"qeue\" is no key of a job; did you mean \"queue\"?");
  EXPECT_THAT(problem_of(R"({"task": "a", "x": 1})"), HasSubstr("they are task, args, queue"));
  EXPECT_THAT(problem_of(R"({"task": 7})"), HasSubstr("10: \"task\" must be a string"));
  EXPECT_THAT(problem_of(R"({"task": "a", "args": [1]})"), HasSubstr("23: \"args\" must be an object"));
  EXPECT_THAT(problem_of(R"({"task": "a", "lock": {}})"), HasSubstr("23: \"lock\" must be a string"));
  EXPECT_THAT(problem_of(R"({"task": "a", "scheduled_at": "soon"})"), HasSubstr("must be a time"));
  EXPECT_THAT(problem_of(R"({"task": "a", "meta": 1})"), HasSubstr("23: \"meta\" must be an object"));
  EXPECT_THAT(problem_of(R"({"task": "a", "on_conflict": "Keep"})"),
              HasSubstr(R"("on_conflict" must be "refuse", "keep" or "replace")"));
  EXPECT_THAT(problem_of(R"({"task": "a", "task": "b"})"),
              HasSubstr("15: \"task\" stands here for the second"));
}

TEST(JobLines, HoldNothingThatTheDatabaseWouldRefuseOfAllLinesAtOnce) {
  EXPECT_THAT(problem_of(R"({"task":"a","args":{"x":"\u0000"}})"), StartsWith("26: a NUL"));
  EXPECT_THAT(problem_of(R"({"task":"a\u0000"})"), StartsWith("11: a NUL"));
  EXPECT_THAT(problem_of(R"({"task":"a","args":{"\u0000":1}})"), StartsWith("22: a NUL"));
  EXPECT_EQ(problem_of(R"({"task":"a","args":{"x":"\\u0000 \""}})"), "none")
      << "a backslash, and then letters";
  const auto nested = [](std::size_t levels) {
    return R"({"task":"a","args":{"x":)" + std::string(levels, '[') + std::string(levels, ']') + "}}";
  };
  EXPECT_EQ(problem_of(nested(499)), "none") << "with the object itself, 500";
  EXPECT_THAT(problem_of(nested(500)), StartsWith("524: nested too deep"));
  EXPECT_THAT(problem_of(nested(100'000)), StartsWith("524: nested too deep"));
  EXPECT_EQ(problem_of(R"({"task":"a","args":{"x":")" + std::string(600, '[') + "\"}}"), "none");
}

TEST(JobLines, HoldNoNumberThatTheDatabaseCannotStore) {
  const auto with = [](const std::string& number) {
    return problem_of(R"({"task":"a","args":{"x":)" + number + "}}");
  };
  for (const char* number : {"0", "-12.5", "1e-16383", "1.5e300", "0.5E+10", "0.1e-16382", "1e0000001"})
    EXPECT_EQ(with(number), "none") << number;
  for (const char* number :
       {"1e-16384", "1e-20000", "0.1e-16383", "0e-99999999999", "0e99999999999", "-1e-999999"})
    EXPECT_THAT(with(number), HasSubstr("a number with more digits than the database can store")) << number;
  EXPECT_THAT(with("0." + std::string(16'384, '0')), HasSubstr("more digits"));
  EXPECT_EQ(with("\"1e-20000\""), "none") << "a string";
}

TEST(JobLines, HaveNoEmptyNames) {
  for (const char* key : {"task", "queue", "lock", "queueing_lock"}) {
    EXPECT_THAT(problem_of(std::string(R"({"args":{},")") + key + R"(":""})"), HasSubstr("must not be empty"))
        << key;
  }
}

TEST(JobLines, TakePrioritiesThatTheColumnHolds) {
  EXPECT_EQ(job_of(R"({"task": "a", "priority": 2147483647})").priority, 2147483647);
  EXPECT_EQ(job_of(R"({"task": "a", "priority": -2147483648})").priority, -2147483648LL);
  for (const char* priority : {"2147483648", "-2147483649", "1.5", "\"1\"", "18446744073709551615"}) {
    EXPECT_THAT(problem_of(R"({"task": "a", "priority": )" + std::string(priority) + "}"),
                HasSubstr("must be a whole number"));
  }
}

class Lines : public testing::Test {
 protected:
  Lines() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    reading_ = ends[0];
    writing_ = ends[1];
  }
  ~Lines() override {
    close(reading_);
    end();
  }
  void write_text(const std::string& text) const {
    EXPECT_EQ(write(writing_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (writing_ >= 0) close(writing_);
    writing_ = -1;
  }
  std::vector<std::string> read_all() const {
    LineReader reader(reading_);
    std::vector<std::string> lines;
    std::string_view line;
    while (reader.next(line) == LineReader::Next::line) lines.emplace_back(line);
    return lines;
  }

  int reading_ = -1;
  int writing_ = -1;
};

TEST_F(Lines, AreTakenApartAtTheirNewlines) {
  write_text("a\n\nbc\r\nlast");
  end();
  EXPECT_THAT(read_all(), ElementsAre("a", "", "bc\r", "last"));
}

TEST_F(Lines, MayBeLongerThanABlock) {
  const std::string line(60'000, 'x');
  write_text(line + "\n");
  LineReader reader(reading_);
  std::string_view read;
  ASSERT_EQ(reader.next(read), LineReader::Next::line);
  EXPECT_EQ(read, line);
  write_text(line.substr(0, 40'000));
  write_text(std::string(20'000, 'y') + "\nend");
  end();
  ASSERT_EQ(reader.next(read), LineReader::Next::line);
  EXPECT_EQ(read.size(), 60'000U);
  EXPECT_EQ(reader.bytes(), 120'002U);
  ASSERT_EQ(reader.next(read), LineReader::Next::line);
  EXPECT_EQ(read, "end");
  EXPECT_EQ(reader.next(read), LineReader::Next::end);
}

TEST(EndlessLines, AreGivenUp) {
  const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(zeros, 0);
  LineReader reader(zeros);
  std::string_view line;
  EXPECT_EQ(reader.next(line), LineReader::Next::too_long);
  close(zeros);
}

TEST(ProgressLines, TellHowFarAndHowLongStill) {
  EXPECT_EQ(progress_text(0.25, "300 jobs", 10s, 0), "[#####---------------]  25 %  300 jobs, 30.0 s left");
  EXPECT_EQ(progress_text(0.001, "1 job", 10s, 0), "[--------------------]   0 %  1 job");
  EXPECT_EQ(progress_text(1, "9 jobs", 10s, 0), "[####################] 100 %  9 jobs, 0.0 ms left");
  EXPECT_EQ(progress_text(-1, "9 jobs", 10s, 0), "9 jobs, 10.0 s");
  EXPECT_EQ(progress_text(0.25, "300 jobs", 10s, 10), "[#####---") << "the last column stays free";
}

}  // namespace
}  // namespace postpone::cli
