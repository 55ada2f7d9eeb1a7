// config/reference.toml is complete, and what it calls a default is the default; config/demo.toml is right.
//
// In the reference, "#key = value" (no space) is a key with its default, "# text" is prose.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/reload.h"
#include "config_fixture.h"

namespace postpone::config {
namespace {

using namespace std::chrono_literals;

using Keys = std::map<std::string, std::set<std::string>>;  // by heading, such as [[group]]

bool is_commented_key(const std::string& line) {
  return line.size() > 1 && line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
}

std::string uncommented_reference() {
  std::istringstream reference(read_source_file("config/reference.toml"));
  std::string text;
  for (std::string line; std::getline(reference, line);) {
    text.append(is_commented_key(line) ? line.substr(1) : line).append("\n");
  }
  return text;
}

Keys keys_of_reference() {
  std::istringstream reference(uncommented_reference());
  Keys keys;
  std::string heading;
  for (std::string line; std::getline(reference, line);) {
    if (line.starts_with('[')) heading = line;
    if (line.empty() || line[0] < 'a' || line[0] > 'z') continue;
    EXPECT_TRUE(keys[heading].insert(line.substr(0, line.find(' '))).second) << "twice: " << line;
  }
  return keys;
}

std::set<std::string> split_list(const std::string& list) {
  std::set<std::string> items;
  std::istringstream stream(list);
  for (std::string item; stream >> item;) {
    if (item.ends_with(',')) item.pop_back();
    items.insert(item);
  }
  return items;
}

// What the parser itself says is valid, when asked with a key that resembles none.
std::set<std::string> keys_the_parser_knows(const std::string& heading) {
  const ParseResult result = parse(heading + "\nxxxxxxxxxxxxxxxx = 1\n", "/");
  const std::string marker = "valid keys are ";
  for (const Problem& problem : result.problems) {
    const auto at = problem.message.find(marker);
    if (at != std::string::npos) return split_list(problem.message.substr(at + marker.size()));
  }
  return {};
}

std::set<std::string> sections_the_parser_knows() {
  const ParseResult result = parse("[xxxxxxxxxxxxxxxx]\n", "/");
  const std::string marker = "valid sections are ";
  for (const Problem& problem : result.problems) {
    const auto at = problem.message.find(marker);
    if (at != std::string::npos) return split_list(problem.message.substr(at + marker.size()));
  }
  return {};
}

// Without these keys it depends on something else what holds; the reference shows what it mostly is.
Config with_shown_values(Config config) {
  for (Schedule& schedule : config.schedules) schedule.priority = schedule.priority.value_or(0);
  for (QueueRetention& queue : config.retention.queues)
    for (auto* age : {&queue.succeeded, &queue.failed, &queue.cancelled, &queue.aborted})
      *age = age->value_or(0ms);
  return config;
}

class ReferenceTest : public ::testing::Test {
 protected:
  ReferenceTest() { directory_.write_executable("bin/kitchen-tasks"); }

  ParseResult parse_here(const std::string& text) const { return parse(text, directory_.path()); }

  ConfigDirectory directory_;
};

TEST_F(ReferenceTest, HoldsEveryKeyOfEverySection) {
  Keys known;
  for (const std::string& heading : sections_the_parser_knows()) {
    known[heading] = keys_the_parser_knows(heading);
  }
  ASSERT_EQ(known.size(), 9U);
  EXPECT_EQ(keys_of_reference(), known);
}

// "| `group.count` | `1` | …", a required key without its value.
TEST_F(ReferenceTest, TheGuideListsTheSameKeysWithTheSameDefaults) {
  std::vector<std::string> wanted;
  std::istringstream reference(read_source_file("config/reference.toml"));
  std::string section;
  for (std::string line; std::getline(reference, line);) {
    if (line.starts_with('['))
      section = line.substr(line.rfind('[') + 1, line.find(']') - line.rfind('[') - 1);
    const bool optional = is_commented_key(line);
    const std::size_t equals = line.find(" = ");
    if (!optional && (line.empty() || line[0] < 'a' || line[0] > 'z')) continue;
    const std::string key = line.substr(optional ? 1 : 0, equals - (optional ? 1 : 0));
    const std::string value = optional ? "`" + line.substr(equals + 3) + "`" : "required";
    wanted.push_back("| `" + section + "." + key + "` | " + value + " | ");
  }
  std::vector<std::string> listed;
  const std::string guide = read_source_file("docs/configuration.md");
  std::istringstream list(guide.substr(guide.find("\n## All keys\n")));
  for (std::string line; std::getline(list, line);) {
    if (!line.starts_with("| `")) continue;
    listed.push_back(line.substr(0, line.find(" | ", line.find(" | ") + 1) + 3));
    EXPECT_GT(line.size(), listed.back().size() + 10) << "says what it is: " << line;
  }
  EXPECT_EQ(listed, wanted);
}

// The last column of the guide's list, and the keys that the head of the reference names.
TEST_F(ReferenceTest, GuideAndReferenceSayWhatAReloadDoesWithEachKey) {
  std::vector<std::string> wanted;
  std::set<std::string> fixed;
  for (const KeyRule& rule : key_rules()) {
    const std::string key = std::string(rule.section) + "." + std::string(rule.key);
    wanted.push_back(key + ": " + std::string(to_string(rule.reload)));
    if (rule.reload == Reload::restart) fixed.insert(key);
  }
  std::vector<std::string> listed;
  const std::string guide = read_source_file("docs/configuration.md");
  std::istringstream list(guide.substr(guide.find("\n## All keys\n")));
  for (std::string line; std::getline(list, line);) {
    if (!line.starts_with("| `")) continue;
    const auto column = line.rfind(" | ", line.size() - 3) + 3;
    listed.push_back(line.substr(3, line.find('`', 3) - 3) + ": " +
                     line.substr(column, line.size() - 2 - column));
  }
  EXPECT_EQ(listed, wanted);

  const std::string reference = read_source_file("config/reference.toml");
  const auto from = reference.find("# A reload ");
  std::set<std::string> named;
  std::istringstream words(reference.substr(from, reference.find("keep their values", from) - from));
  for (std::string word; words >> word;) {
    while (word.ends_with(',') || word.ends_with(':')) word.pop_back();
    if (word.find('.') != std::string::npos) named.insert(word);
  }
  EXPECT_EQ(named, fixed);
}

TEST_F(ReferenceTest, ShowsTheDefaults) {
  const ParseResult result = parse_here(uncommented_reference());
  ASSERT_THAT(lines(result), ::testing::IsEmpty());
  Config defaults;
  defaults.groups.emplace_back();
  defaults.groups[0].name = "kitchen";
  defaults.groups[0].executable = directory_.path("bin/kitchen-tasks");
  defaults.retention.queues.emplace_back().name = "bar";
  Schedule& schedule = defaults.schedules.emplace_back();
  schedule.task = "cache.sweep";
  schedule.cron = "30 4 * * *";
  EXPECT_EQ(*result.config, with_shown_values(defaults));
}

TEST_F(ReferenceTest, IsAConfigurationAsItStands) {
  const ParseResult as_it_stands = parse_here(read_source_file("config/reference.toml"));
  ASSERT_THAT(lines(as_it_stands), ::testing::IsEmpty());
  EXPECT_EQ(with_shown_values(*as_it_stands.config), *parse_here(uncommented_reference()).config);
}

TEST_F(ReferenceTest, MayBeCutAnywhere) {
  const std::string text = uncommented_reference();
  for (std::size_t length = 0; length < text.size(); ++length) {
    const ParseResult result = parse_here(text.substr(0, length));
    EXPECT_EQ(result.config.has_value(), result.problems.empty()) << length;
  }
}

TEST_F(ReferenceTest, MayBeGarbledAnyhow) {
  const std::string text = uncommented_reference();
  std::string alphabet = "[]{}=\"'#.,-_0123456789abcxyz \n\t\\\xff\xc3";
  alphabet += '\0';
  std::mt19937 random(20240229);  // always the same garbage
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  for (int round = 0; round < 2000; ++round) {
    std::string garbled = text;
    for (std::size_t edits = 1 + below(8); edits > 0; --edits) {
      const std::size_t at = below(garbled.size());
      switch (below(4)) {
        case 0:
          garbled[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          garbled.insert(at, 1, alphabet[below(alphabet.size())]);
          break;
        case 2:
          garbled.erase(at, 1 + below(40));
          break;
        default:
          garbled.insert(at, garbled.substr(below(garbled.size()), below(200)));
      }
    }
    const ParseResult result = parse_here(garbled);
    EXPECT_EQ(result.config.has_value(), result.problems.empty()) << garbled;
  }
}

TEST(DemoConfiguration, IsRightOnceTheExamplesAreBuilt) {
  const ConfigDirectory checkout;
  for (const char* example : {"files", "letters", "misbehave"}) {
    checkout.write_executable(std::string("build/release/libtask/examples/") + example);
  }
  const std::string path = checkout.write("config/demo.toml", read_source_file("config/demo.toml"));
  const ParseResult result = load(path);
  ASSERT_THAT(lines(result), ::testing::IsEmpty());
  EXPECT_EQ(result.config->groups.size(), 3U);
  EXPECT_EQ(result.config->total_subworkers(), 8);
}

}  // namespace
}  // namespace postpone::config
