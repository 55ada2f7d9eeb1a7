// The page /metrics, and what Prometheus and the dashboard make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Every name that begins so in a text, without what a histogram's samples add.
std::set<std::string> metrics_in(const std::string& text) {
  static const std::regex name("(postpone|process)_[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
    names.insert(std::regex_replace(at->str(), std::regex("_bucket$"), ""));
  return names;
}

TEST_F(Status, PromtoolHasNothingToSay) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.segfault", "m");
  defer("any", "a \"queue\" \\ with\nall");
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["recent_failures"].size() == 1 && all["waiting"].is_object();
  }));
  const auto check = run_program({"promtool", "check", "metrics"}, {.input = curl("/metrics").output});
  EXPECT_EQ(check.exit_status, 0) << check.errors;
  EXPECT_EQ(check.output + check.errors, "");
}

TEST_F(Status, AlertRulesAndDashboardUseMetricsThatExist) {
  const std::string rules = POSTPONE_SOURCE_DIR "/packaging/prometheus-rules.yml";
  const auto check = run_program({"promtool", "check", "rules", rules});
  EXPECT_EQ(check.exit_status, 0) << check.output << check.errors;
  const std::string operations = read_file(POSTPONE_SOURCE_DIR "/docs/operations.md");
  const std::string text = read_file(rules);
  const std::regex alert("- alert: ([A-Za-z]+)");
  for (std::sregex_iterator at(text.begin(), text.end(), alert), end; at != end; ++at)
    EXPECT_THAT(operations, HasSubstr("**`" + at->str(1) + "`**:")) << "what it means, and what to do";
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.noop", "m");
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually(
      [&] { return status()["waiting"].is_object() && status()["supervisor"]["last_reload"].is_object(); }));
  std::set<std::string> existing;
  std::istringstream lines(curl("/metrics").output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE ")) existing.insert(line.substr(7, line.find(' ', 7) - 7));
  const json dashboard = json::parse(read_file(POSTPONE_SOURCE_DIR "/packaging/grafana-dashboard.json"));
  std::string queries = read_file(rules);
  for (const json& panel : dashboard["panels"])
    for (const json& target : panel["targets"]) queries += target["expr"].get<std::string>() + "\n";
  for (const std::string& name : metrics_in(queries)) EXPECT_TRUE(existing.contains(name)) << name;
}

}  // namespace
}  // namespace postpone::tests
