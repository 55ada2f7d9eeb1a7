// Ticks compared with those of croniter, which Procrastinate uses, over thousands of expressions and dates.
// Where the Debian package python3-croniter is not installed, the test says that it is skipped.
//
// Not compared: `*/2` in one day field beside a restricted other one. Cron takes such a field for one that
// does not restrict, croniter for a list of days.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "libtask/wire/zoned_cron.h"

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;

constexpr int kTicks = 4;

struct Case {
  std::string expression;
  std::string zone;
  std::int64_t start = 0;
};

class Expressions {
 public:
  std::string next() {
    const bool by_day = chance(3);
    const bool by_weekday = chance(3);
    const bool both = by_day && by_weekday;
    std::string text = field(0, 59, true) + " " + (chance(3) ? "*" : field(0, 23, true)) + " " +
                       (by_day ? field(1, 28, !both) : "*") + " " + month() + " " +
                       (by_weekday ? weekday(!both) : "*");
    if (chance(4)) text += " " + field(0, 59, true);
    return text;
  }
  std::int64_t time() { return between(1'262'304'000, 2'051'222'400); }  // 2010 to 2035
  bool chance(int of) { return between(1, of) == 1; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

 private:
  std::string number(int least, int most) { return std::to_string(between(least, most)); }

  std::string element(int least, int most) {
    const auto first = between(least, most);
    const auto last = between(first, most);
    switch (between(0, 4)) {
      case 0:
        return std::to_string(first) + "-" + std::to_string(last);
      case 1:
        return std::to_string(first) + "-" + std::to_string(last) + "/" + number(1, 7);
      default:
        return std::to_string(first);
    }
  }

  std::string field(int least, int most, bool may_step) {
    if (may_step && chance(4)) return "*/" + number(2, 20);
    std::string text = element(least, most);
    while (chance(3)) text += "," + element(least, most);
    return text;
  }

  std::string month() {
    static const std::vector<std::string> names = {"jan", "MAR", "jul", "oct-dec", "feb,Aug"};
    if (chance(5)) return names[static_cast<std::size_t>(between(0, 4))];
    return chance(3) ? field(1, 12, true) : "*";
  }

  std::string weekday(bool may_step) {
    static const std::vector<std::string> names = {"sun", "mon-fri", "TUE", "sat,sun", "7"};
    if (chance(2)) return names[static_cast<std::size_t>(between(0, 4))];
    return field(0, 6, may_step);
  }

  std::mt19937_64 random_{20241027};
};

std::vector<Case> cases() {
  Expressions expressions;
  std::vector<Case> cases;
  for (int i = 0; i < 3000; ++i) cases.push_back({expressions.next(), "UTC", expressions.time()});
  // Half of the times in zones lie in the days in which clocks change, somewhere.
  constexpr std::int64_t kDay = 86'400;
  const std::vector<std::int64_t> changes = {1'711'756'800, 1'729'900'800, 1'710'028'800,
                                             1'730'592'000, 1'728'086'400, 1'743'811'200};
  const std::vector<std::string> zones = {"Europe/Paris", "America/New_York", "Australia/Lord_Howe",
                                          "America/St_Johns", "Asia/Kathmandu"};
  for (int i = 0; i < 3000; ++i) {
    const auto change = changes[static_cast<std::size_t>(expressions.between(0, 5))];
    cases.push_back({expressions.next(), zones[static_cast<std::size_t>(expressions.between(0, 4))],
                     i % 2 == 0 ? expressions.time() : change + expressions.between(-kDay, 2 * kDay)});
  }
  return cases;
}

std::string our_ticks(const Case& asked) {
  const ZonedCron cron{Cron::parse(asked.expression), Zone::load(asked.zone)};
  std::string text;
  Cron::Time time{std::chrono::seconds(asked.start)};
  for (int i = 0; i < kTicks; ++i) {
    time = cron.next_after(time).value();
    text += (text.empty() ? "" : " ") + std::to_string(time.time_since_epoch().count());
  }
  return text;
}

bool day_may_come(const std::string& expression) {
  try {
    Cron::parse(expression);
    return true;
  } catch (const CronError&) {
    return false;  // 30 February: croniter would look for it in vain, too
  }
}

// A new file, which is gone with it.
struct Scratch {
  std::string path = testing::TempDir() + "postpone-croniter-XXXXXX";
  Scratch() { ::close(::mkstemp(path.data())); }
  ~Scratch() { ::unlink(path.c_str()); }
};

std::string fault_of_zones() {
  try {
    Zone::load("Europe/Paris");
    return "";
  } catch (const ZoneError& error) {
    return error.what();
  }
}

TEST(CronAndCroniter, HaveTheSameTicks) {
  if (const std::string fault = fault_of_zones(); !fault.empty()) GTEST_SKIP() << fault;
  std::vector<Case> asked = cases();
  std::erase_if(asked, [](const Case& one) { return !day_may_come(one.expression); });
  const Scratch questions;
  std::ofstream file(questions.path);
  for (const Case& one : asked)
    file << one.expression << '\t' << one.zone << '\t' << one.start << '\t' << kTicks << '\n';
  file.close();
  // Debian's own Python: its packages are not there for another one.
  const std::string command =
      "/usr/bin/python3 -B " POSTPONE_SOURCE_DIR "/tests/unit/croniter_ticks.py < " + questions.path;
  std::FILE* const answers = ::popen(command.c_str(), "r");
  ASSERT_NE(answers, nullptr);
  std::string text;
  char part[4096];
  while (const auto size = std::fread(part, 1, sizeof part, answers)) text.append(part, size);
  const int status = ::pclose(answers);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 77 || code == 127)
    GTEST_SKIP() << "not compared with croniter: install the package python3-croniter (" << text << ")";
  ASSERT_EQ(code, 0) << text;
  std::istringstream lines(text);
  std::string line;
  int compared = 0;
  for (const Case& one : asked) {
    ASSERT_TRUE(std::getline(lines, line));
    if (line == "none") continue;
    ++compared;
    EXPECT_EQ(our_ticks(one), line) << one.expression << " in " << one.zone << " after " << one.start;
  }
  EXPECT_GT(compared, 5000);
}

}  // namespace
}  // namespace libtask::wire
