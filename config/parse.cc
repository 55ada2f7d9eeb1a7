// From the text of a configuration to its struct, or to the list of all that is wrong with it.
//
// A default stands in one place only, the struct in config.h: a key that is not in the file leaves its field
// alone. Nothing stops at the first problem. A reader that finds one reports it, leaves the field alone, and
// the walk goes on; only a syntax error ends it, since there is nothing to walk then.
#include <algorithm>
#include <filesystem>
#include <initializer_list>

#include "config/config.h"
#include "config/readers.h"
#include "config/sections.h"
#include "config/shape.h"

namespace postpone::config {
namespace {

class Parser {
 public:
  Parser(std::string directory, Files files, std::string path)
      : directory_(std::move(directory)), files_(files), path_(std::move(path)) {}

  ParseResult parse(std::string_view text);

 private:
  void read_document(const toml::table& document);
  template <class Section>
  void read_singular(const toml::table& document, const Schema<Section>& schema, Section& section);
  template <class Section>
  void read_section(const toml::table& table, const Schema<Section>& schema, Section& section);
  template <class Section>
  void read_list(const toml::node* node, const Schema<Section>& schema, std::string_view name_key,
                 bool (*is_same)(const Section&, const Section&), std::vector<Section>& sections);
  void read_queue_retentions(const toml::table& document);
  void read_schedules(const toml::table& document);
  void read_groups(const toml::table& document);
  void read_group(const toml::table& table);
  void check_log_file(const toml::table& document);
  void check(const Supervisor& supervisor, const toml::table& table);
  void check(const Group& group, const toml::table& table);
  void check(const Database&, const toml::table&) {}
  void check(const Stalled&, const toml::table&) {}
  void check(const Retention&, const toml::table&) {}
  void check(const QueueRetention&, const toml::table&) {}
  void check(const Schedule&, const toml::table&) {}
  void check(const Log&, const toml::table&) {}
  void check(const Status&, const toml::table&) {}

  const std::string directory_;
  Files files_;
  const std::string path_;
  Config config_;
  Report report_;
  std::vector<toml::source_region> name_regions_;  // of the groups' names, by index in config_.groups
};

// Where to point when values contradict each other: the first of these keys that stands in the file. One
// does, as the defaults agree with each other.
toml::source_region place_of(const toml::table& table, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (const toml::node* node = table.get(key)) return node->source();
  }
  return table.source();
}

// toml++ takes a string without quotes for whatever its first letters resemble: "inf…" for a number, "t…" for
// true.
std::string syntax_error(const toml::parse_error& error) {
  std::string message = "not valid TOML: " + std::string(error.description());
  for (const char* kind : {"parsing value:", "parsing boolean:", "parsing floating-point:"}) {
    if (message.find(kind) != std::string::npos) message += " (strings stand in quotes)";
  }
  return message;
}

ParseResult Parser::parse(std::string_view text) {
  if (auto problem = problem_of_shape(text)) return {std::nullopt, {*std::move(problem)}};
  try {
    read_document(toml::parse(text));
  } catch (const toml::parse_error& error) {
    report_.add(error.source(), syntax_error(error));
  }
  ParseResult result{std::nullopt, std::move(report_).sorted()};
  if (result.problems.empty()) result.config = std::move(config_);
  return result;
}

void Parser::read_document(const toml::table& document) {
  for (const auto& [key, node] : document) {
    if (!is_section(key.str())) report_.add(key.source(), unknown_section(key.str()));
  }
  read_singular(document, database_schema(), config_.database);
  read_singular(document, supervisor_schema(), config_.supervisor);
  read_singular(document, stalled_schema(), config_.stalled);
  read_singular(document, retention_schema(), config_.retention);
  read_queue_retentions(document);
  read_singular(document, log_schema(), config_.log);
  read_singular(document, status_schema(), config_.status);
  read_groups(document);
  read_schedules(document);
  if (files_ == Files::check) check_log_file(document);
}

// Each line of the log would be written into it.
void Parser::check_log_file(const toml::table& document) {
  const std::string other = other_use_of_log_file(config_, path_);
  if (!other.empty())
    report_.add(document["log"]["file"].node()->source(),
                "\"file\" in [log]: " + config_.log.file + " is " + other);
}

// A section that stands once or not at all.
template <class Section>
void Parser::read_singular(const toml::table& document, const Schema<Section>& schema, Section& section) {
  const toml::node* node = document.get(schema.name);
  if (node == nullptr) return;
  if (const toml::table* table = node->as_table()) return read_section(*table, schema, section);
  report_.add(node->source(), "expected the section " + std::string(schema.heading) + ", got " +
                                  type_of(*node) + (node->is_array() ? ", use single brackets" : ""));
}

template <class Section>
void Parser::read_section(const toml::table& table, const Schema<Section>& schema, Section& section) {
  const std::size_t problems_before = report_.size();
  const std::string heading(schema.heading);
  for (const auto& [name, node] : table) {
    if (!schema.nested.empty() && name.str() == schema.nested) continue;
    const auto is_it = [&name = name](const Key<Section>& key) { return key.name == name.str(); };
    const auto known = std::find_if(schema.keys.begin(), schema.keys.end(), is_it);
    if (known == schema.keys.end()) {
      report_.add(name.source(), unknown_key(name.str(), heading));
    } else {
      known->read(Value{node, in_quotes(name.str()) + " in " + heading, directory_, files_, report_},
                  section);
    }
  }
  for (const Key<Section>& key : schema.keys) {
    if (key.required && !table.contains(key.name)) {
      report_.add(table.source(), "missing key " + in_quotes(key.name) + " in " + heading);
    }
  }
  // Rules between keys make sense only for values that are right by themselves.
  if (report_.size() == problems_before) check(section, table);
}

// Sections in double brackets, of which `is_same` says whether two have the same name, `name_key` where to
// point then.
template <class Section>
void Parser::read_list(const toml::node* node, const Schema<Section>& schema, std::string_view name_key,
                       bool (*is_same)(const Section&, const Section&), std::vector<Section>& sections) {
  if (node == nullptr) return;
  const std::string heading(schema.heading);
  const toml::array* const array = node->as_array();
  if (array == nullptr)
    return report_.add(node->source(), "expected " + heading + ", got " + type_of(*node) +
                                           (node->is_table() ? ", use double brackets" : ""));
  std::vector<toml::source_region> regions;
  for (const toml::node& element : *array) {
    const toml::table* const table = element.as_table();
    if (table == nullptr) {
      report_.add(element.source(), "expected " + heading + ", got " + type_of(element));
      continue;
    }
    Section section;
    const std::size_t problems_before = report_.size();
    read_section(*table, schema, section);
    const auto former = std::find_if(sections.begin(), sections.end(),
                                     [&](const Section& other) { return is_same(other, section); });
    if (former != sections.end() && report_.size() == problems_before)
      report_.add(
          place_of(*table, {name_key}),
          "this " + heading + " is the same one as in line " +
              std::to_string(regions[static_cast<std::size_t>(former - sections.begin())].begin.line) +
              ", give it another " + in_quotes(name_key));
    sections.push_back(std::move(section));
    regions.push_back(table->source());
  }
}

void Parser::read_queue_retentions(const toml::table& document) {
  const toml::node* const retention = document.get("retention");
  const toml::table* const table = retention != nullptr ? retention->as_table() : nullptr;
  read_list<QueueRetention>(
      table != nullptr ? table->get("queue") : nullptr, queue_retention_schema(), "name",
      [](const QueueRetention& a, const QueueRetention& b) { return a.name == b.name; },
      config_.retention.queues);
}

void Parser::read_schedules(const toml::table& document) {
  read_list<Schedule>(
      document.get("schedule"), schedule_schema(), "id",
      [](const Schedule& a, const Schedule& b) { return a.task == b.task && a.id == b.id; },
      config_.schedules);
}

void Parser::read_groups(const toml::table& document) {
  const toml::node* node = document.get("group");
  const toml::array* groups = node != nullptr ? node->as_array() : nullptr;
  if (node != nullptr && groups == nullptr) {
    report_.add(node->source(), node->is_table() ? "a group stands in double brackets: [[group]], not [group]"
                                                 : "expected [[group]], got " + type_of(*node));
    return;
  }
  if (groups == nullptr || groups->empty()) {
    report_.add({}, "has no [[group]], at least one is needed (with the keys name and executable)");
    return;
  }
  for (const toml::node& element : *groups) {
    if (const toml::table* table = element.as_table()) {
      read_group(*table);
    } else {
      report_.add(element.source(), "expected [[group]], got " + type_of(element));
    }
  }
}

void Parser::read_group(const toml::table& table) {
  Group group;
  read_section(table, group_schema(), group);
  const toml::source_region name_region = place_of(table, {"name"});
  for (std::size_t i = 0; i < config_.groups.size(); ++i) {
    if (group.name.empty() || config_.groups[i].name != group.name) continue;
    report_.add(name_region, "\"name\" in [[group]]: " + in_quotes(group.name) +
                                 " is already the name of the group in line " +
                                 std::to_string(name_regions_[i].begin.line));
    break;
  }
  const int others = config_.total_subworkers();
  if (others <= kMaxSubworkers && others + group.count > kMaxSubworkers) {
    report_.add(place_of(table, {"count"}),
                "the groups so far ask for " + std::to_string(others + group.count) +
                    " sub-workers, a supervisor has at most " + std::to_string(kMaxSubworkers));
  }
  config_.groups.push_back(std::move(group));
  name_regions_.push_back(name_region);
}

void Parser::check(const Supervisor& supervisor, const toml::table& table) {
  if (supervisor.stalled_after <= 2 * supervisor.heartbeat_interval) {
    report_.add(place_of(table, {"stalled_after", "heartbeat_interval"}),
                "\"stalled_after\" in [supervisor] (" + format_duration(supervisor.stalled_after) +
                    ") must be more than twice \"heartbeat_interval\" (" +
                    format_duration(supervisor.heartbeat_interval) +
                    "), or one late heartbeat is taken for a death");
  }
  if (supervisor.fence_after <= supervisor.heartbeat_interval ||
      supervisor.fence_after >= supervisor.stalled_after) {
    report_.add(place_of(table, {"fence_after", "stalled_after", "heartbeat_interval"}),
                "\"fence_after\" in [supervisor] (" + format_duration(supervisor.fence_after) +
                    ") must lie between \"heartbeat_interval\" (" +
                    format_duration(supervisor.heartbeat_interval) + ") and \"stalled_after\" (" +
                    format_duration(supervisor.stalled_after) +
                    "): a cut-off host stops its tasks before others take its jobs");
  }
  if (supervisor.respawn_backoff > supervisor.respawn_backoff_max) {
    report_.add(place_of(table, {"respawn_backoff_max", "respawn_backoff"}),
                "\"respawn_backoff_max\" in [supervisor] (" +
                    format_duration(supervisor.respawn_backoff_max) +
                    ") must not be less than \"respawn_backoff\" (" +
                    format_duration(supervisor.respawn_backoff) + ")");
  }
}

void Parser::check(const Group& group, const toml::table& table) {
  // A jitter of all the jobs could leave a task process none, and 0 means "never replaced".
  if (group.max_jobs_jitter > 0 && group.max_jobs_jitter >= group.max_jobs) {
    report_.add(place_of(table, {"max_jobs_jitter"}),
                "\"max_jobs_jitter\" in [[group]] (" + std::to_string(group.max_jobs_jitter) +
                    ") must be less than \"max_jobs\" (" + std::to_string(group.max_jobs) + ")");
  }
  if (group.max_rss > 0 && group.memory_limit > 0 && group.memory_limit <= group.max_rss) {
    report_.add(place_of(table, {"memory_limit"}),
                "\"memory_limit\" in [[group]] (" + std::to_string(group.memory_limit) +
                    " bytes) must be more than \"max_rss\" (" + std::to_string(group.max_rss) +
                    " bytes), or no task process lives to be replaced after its job");
  }
}

// The same directory, as seen from anywhere. As it is when the working directory is gone: the files in it
// will be missing, and that is then said of each.
std::string absolute(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path =
      directory.empty() ? std::filesystem::current_path(error) : std::filesystem::absolute(directory, error);
  return error ? directory : path.string();
}

}  // namespace

ParseResult parse(std::string_view text, const std::string& directory, Files files, const std::string& path) {
  return Parser(absolute(directory), files, path).parse(text);
}

}  // namespace postpone::config
