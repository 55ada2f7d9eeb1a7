// From the text of a configuration to its struct, or to the list of all that is wrong with it.
//
// One table per section names its keys and, for each, the field it fills and the rule its value obeys. The
// tables drive everything: what is read, what is unknown, what is suggested instead. A default stands in one
// place only, the struct in config.h: a key that is not in the file leaves its field alone.
//
// Nothing stops at the first problem. A reader that finds one reports it, leaves the field alone, and the
// walk goes on; only a syntax error ends it, since there is nothing to walk then. Strings are shown in a
// message only where the key can hold no secret.
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <tuple>

#include "config/config.h"
#include "config/nearest.h"

namespace postpone::config {
namespace {

constexpr int kMaxSubworkersPerGroup = 512;
constexpr int kMaxSubworkers = 1024;  // the slots on the board
constexpr int kMaxPoolSize = 1024;
constexpr int kMaxJobs = 1'000'000'000;
constexpr int kMaxRescues = 1000;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;  // 1 PiB
constexpr std::size_t kMaxNameLength = 63;
constexpr std::size_t kMaxQueueNameLength = 128;  // characters, as the column queue_name has them
constexpr std::size_t kMaxShownLength = 60;

// poll(2) and PostgreSQL's settings count milliseconds in an int, which ends after 24.8 days.
constexpr Milliseconds kLongest = std::chrono::hours{24 * 24};
constexpr Milliseconds kShortest{1};

bool is_continuation_byte(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// ---- Problems ------------------------------------------------------------------------------------

class Report {
 public:
  void add(const toml::source_region& where, std::string message) {
    problems_.push_back(
        {static_cast<int>(where.begin.line), static_cast<int>(where.begin.column), std::move(message)});
  }

  std::size_t size() const { return problems_.size(); }

  // In the order of the file: toml++ hands out keys in alphabetical order.
  std::vector<Problem> sorted() && {
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return std::move(problems_);
  }

 private:
  std::vector<Problem> problems_;
};

// `text` in quotes, short and safe for one line of a terminal.
std::string in_quotes(std::string_view text) {
  std::size_t length = std::min(text.size(), kMaxShownLength);
  if (length < text.size()) {  // cut between characters, not within one
    while (length > 0 && is_continuation_byte(text[length])) --length;
  }
  std::string shown = "\"";
  for (const char c : text.substr(0, length)) shown += is_control(c) ? '?' : c;
  return shown + (length < text.size() ? "…\"" : "\"");
}

std::string type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return node.is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

// The type and, where a value is short, the value: integer 30, string "often".
std::string describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return "string " + in_quotes(text->get());
  if (const auto* number = node.as_integer()) return "integer " + std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return type_of(node);
}

template <class Texts>
std::string list_of(const Texts& texts) {
  std::string list;
  for (const std::string_view text : texts) list.append(list.empty() ? "" : ", ").append(text);
  return list;
}

// ---- Values --------------------------------------------------------------------------------------

// A value of the file and what its reader may want to know about it.
struct Value {
  const toml::node& node;
  std::string name;  // as messages call it: "count" in [[group]]
  const std::string& directory;
  Files files;
  Report& report;

  void reject(const std::string& why) const { report.add(node.source(), name + ": " + why); }
  void expected(const std::string& what, const std::string& hint = {}) const {
    reject("expected " + what + ", got " + describe(node) + hint);
  }
  // The same for values that are long or may be secret.
  void expected_type(const std::string& what) const { reject("expected " + what + ", got " + type_of(node)); }
};

// Readers: each returns the value, or reports what is wrong with it and returns nothing.

std::optional<bool> boolean(const Value& value) {
  if (const auto* flag = value.node.as_boolean()) return flag->get();
  value.expected("true or false");
  return std::nullopt;
}

std::optional<std::string> text(const Value& value) {
  const auto* node = value.node.as_string();
  if (node == nullptr) {
    value.expected(value.node.is_value() ? "a string in quotes" : "a string");
    return std::nullopt;
  }
  if (node->get().find('\0') != std::string::npos) {
    value.reject("must not contain a NUL character");
    return std::nullopt;
  }
  return node->get();
}

// A reader of an array whose elements `element` reads.
template <class Element>
auto list(Element element) {
  return [element](const Value& value) -> std::optional<std::vector<std::string>> {
    const toml::array* array = value.node.as_array();
    if (array == nullptr) {
      value.expected_type("an array of strings such as [\"a\", \"b\"]");
      return std::nullopt;
    }
    std::vector<std::string> items;
    for (const toml::node& node : *array) {
      if (auto item = element(Value{node, value.name, value.directory, value.files, value.report})) {
        items.push_back(std::move(*item));
      }
    }
    return items;
  };
}

auto integer(int lowest, int highest) {
  return [=](const Value& value) -> std::optional<int> {
    const auto* node = value.node.as_integer();
    if (node == nullptr) {
      value.expected("an integer");
      return std::nullopt;
    }
    if (node->get() < lowest || node->get() > highest) {
      value.reject(std::to_string(node->get()) + " is impossible, must be from " + std::to_string(lowest) +
                   " to " + std::to_string(highest));
      return std::nullopt;
    }
    return static_cast<int>(node->get());
  };
}

auto duration(Milliseconds shortest) {
  return [=](const Value& value) -> std::optional<Milliseconds> {
    const auto* node = value.node.as_string();
    const auto read = node != nullptr ? parse_duration(node->get()) : std::nullopt;
    if (!read) {
      value.expected(R"(a duration such as "30s" (units ms, s, m, h, d))");
      return std::nullopt;
    }
    if (*read < shortest || *read > kLongest) {
      value.reject(in_quotes(node->get()) + " is impossible, must be from \"" + format_duration(shortest) +
                   "\" to \"" + format_duration(kLongest) + "\"");
      return std::nullopt;
    }
    return read;
  };
}

auto size(std::int64_t lowest) {
  return [=](const Value& value) -> std::optional<std::int64_t> {
    std::optional<std::int64_t> bytes;
    if (const auto* node = value.node.as_integer()) bytes = node->get();
    if (const auto* node = value.node.as_string()) bytes = parse_size(node->get());
    if (!bytes) {
      value.expected(R"(a size such as "512MiB" (units B, KiB, MiB, GiB, TiB, kB, MB, GB, TB))");
      return std::nullopt;
    }
    if (*bytes < lowest || *bytes > kMaxBytes) {
      value.reject(describe(value.node) + " is impossible, must be from " + std::to_string(lowest) +
                   " to 1024TiB");
      return std::nullopt;
    }
    return bytes;
  };
}

template <class T>
std::optional<T> one_of(const Value& value, const std::vector<std::pair<std::string_view, T>>& choices) {
  const auto* node = value.node.as_string();
  std::vector<std::string_view> names;
  for (const auto& [name, choice] : choices) {
    if (node != nullptr && node->get() == name) return choice;
    names.push_back(name);
  }
  const auto near = node != nullptr ? nearest(node->get(), names) : std::nullopt;
  value.expected("one of " + list_of(names), near ? ", did you mean " + in_quotes(*near) + "?" : "");
  return std::nullopt;
}

std::optional<std::string> log_level(const Value& value) {
  std::vector<std::pair<std::string_view, std::string>> choices;
  choices.reserve(kLogLevels.size());
  for (const std::string_view level : kLogLevels) choices.emplace_back(level, level);
  return one_of(value, choices);
}

std::optional<LogFormat> log_format(const Value& value) {
  return one_of<LogFormat>(value, {{"text", LogFormat::text}, {"json", LogFormat::json}});
}

std::optional<DeleteJobs> delete_jobs(const Value& value) {
  return one_of<DeleteJobs>(
      value,
      {{"never", DeleteJobs::never}, {"successful", DeleteJobs::successful}, {"always", DeleteJobs::always}});
}

// A name that stands in log lines, process titles and metrics.
std::optional<std::string> plain_name(const Value& value) {
  auto name = text(value);
  if (!name) return std::nullopt;
  const auto is_plain = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name->size() <= kMaxNameLength && std::all_of(name->begin(), name->end(), is_plain)) return name;
  value.reject(in_quotes(*name) + " is impossible, a name has at most " + std::to_string(kMaxNameLength) +
               " letters, digits, '-', '_' and '.'");
  return std::nullopt;
}

std::optional<std::string> group_name(const Value& value) {
  auto name = plain_name(value);
  if (!name || !name->empty()) return name;
  value.reject("must not be empty");
  return std::nullopt;
}

std::optional<std::string> queue_name(const Value& value) {
  auto name = text(value);
  if (!name) return std::nullopt;
  const auto continued = std::count_if(name->begin(), name->end(), is_continuation_byte);
  const std::size_t characters = name->size() - static_cast<std::size_t>(continued);
  if (characters >= 1 && characters <= kMaxQueueNameLength) return name;
  value.reject(characters == 0 ? "a queue name must not be empty"
                               : in_quotes(*name) + " is too long, a queue name has at most " +
                                     std::to_string(kMaxQueueNameLength) + " characters");
  return std::nullopt;
}

std::optional<std::vector<std::string>> queue_names(const Value& value) {
  auto names = list(queue_name)(value);
  if (!names) return std::nullopt;
  for (auto name = names->begin(); name != names->end(); ++name) {
    if (std::find(names->begin(), name, *name) != name) value.reject(in_quotes(*name) + " is named twice");
  }
  return names;
}

// What keeps a file from being started as a program; empty = nothing.
std::string why_not_executable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::strerror(errno);
  if (S_ISDIR(status.st_mode)) return "is a directory, not a program";
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (::access(path.c_str(), X_OK) != 0) return "is not executable for this user (chmod +x?)";
  return {};
}

std::optional<std::string> executable(const Value& value) {
  const auto name = text(value);
  if (!name) return std::nullopt;
  if (name->empty()) {
    value.reject("must not be empty");
    return std::nullopt;
  }
  std::string path = std::filesystem::path(value.directory) / *name;
  if (value.files == Files::trust) return path;
  if (const std::string why = why_not_executable(path); !why.empty()) {
    value.reject(path + ": " + why);
    return std::nullopt;
  }
  return path;
}

// ---- Sections ------------------------------------------------------------------------------------

template <class Section>
struct Key {
  std::string_view name;
  std::function<void(const Value&, Section&)> read;
  bool required = false;
};

template <class Section, class T, class Reader>
Key<Section> key(std::string_view name, T Section::*field, Reader reader) {
  return {name, [field, reader](const Value& value, Section& section) {
            if (auto read = reader(value)) section.*field = std::move(*read);
          }};
}

template <class Section>
Key<Section> required(Key<Section> key) {
  key.required = true;
  return key;
}

template <class Section>
struct Schema {
  std::string_view name;
  std::string_view heading;  // as it stands in the file
  std::vector<Key<Section>> keys;
};

std::optional<std::vector<std::pair<std::string, std::string>>> environment(const Value& value);

const Schema<Database>& database_schema() {
  static const Schema<Database> schema{
      .name = "database",
      .heading = "[database]",
      .keys =
          {
              key("url", &Database::url, text),
              key("listen_url", &Database::listen_url, text),
              key("listen", &Database::listen, boolean),
              key("pool_size", &Database::pool_size, integer(0, kMaxPoolSize)),
              key("connect_timeout", &Database::connect_timeout, duration(kShortest)),
              key("statement_timeout", &Database::statement_timeout, duration(kShortest)),
          },
  };
  return schema;
}

const Schema<Supervisor>& supervisor_schema() {
  static const Schema<Supervisor> schema{
      .name = "supervisor",
      .heading = "[supervisor]",
      .keys =
          {
              key("name", &Supervisor::name, plain_name),
              key("polling_interval", &Supervisor::polling_interval, duration(kShortest)),
              key("shutdown_grace", &Supervisor::shutdown_grace, duration(Milliseconds{0})),
              key("start_deadline", &Supervisor::start_deadline, duration(kShortest)),
              key("subworker_timeout", &Supervisor::subworker_timeout, duration(kShortest)),
              key("respawn_backoff", &Supervisor::respawn_backoff, duration(kShortest)),
              key("respawn_backoff_max", &Supervisor::respawn_backoff_max, duration(kShortest)),
              key("heartbeat_interval", &Supervisor::heartbeat_interval, duration(kShortest)),
              key("fence_after", &Supervisor::fence_after, duration(kShortest)),
              key("stalled_after", &Supervisor::stalled_after, duration(kShortest)),
              key("max_stalled", &Supervisor::max_stalled, integer(1, kMaxRescues)),
          },
  };
  return schema;
}

const Schema<Log>& log_schema() {
  static const Schema<Log> schema{
      .name = "log",
      .heading = "[log]",
      .keys =
          {
              key("level", &Log::level, log_level),
              key("format", &Log::format, log_format),
          },
  };
  return schema;
}

const Schema<Group>& group_schema() {
  static const Schema<Group> schema{
      .name = "group",
      .heading = "[[group]]",
      .keys =
          {
              required(key("name", &Group::name, group_name)),
              required(key("executable", &Group::executable, executable)),
              key("arguments", &Group::arguments, list(text)),
              key("environment", &Group::environment, environment),
              key("queues", &Group::queues, queue_names),
              key("count", &Group::count, integer(1, kMaxSubworkersPerGroup)),
              key("delete_jobs", &Group::delete_jobs, delete_jobs),
              key("fresh_process_per_job", &Group::fresh_process_per_job, boolean),
              key("max_jobs", &Group::max_jobs, integer(0, kMaxJobs)),
              key("max_jobs_jitter", &Group::max_jobs_jitter, integer(0, kMaxJobs)),
              key("max_rss", &Group::max_rss, size(0)),
              key("memory_limit", &Group::memory_limit, size(0)),
              key("max_age", &Group::max_age, duration(Milliseconds{0})),
              key("time_limit", &Group::time_limit, duration(Milliseconds{0})),
              key("abort_grace", &Group::abort_grace, duration(Milliseconds{0})),
              key("max_output", &Group::max_output, size(1)),
          },
  };
  return schema;
}

// What the sections have in common, for messages.
struct Outline {
  std::string_view name;
  std::string_view heading;
  std::vector<std::string_view> keys;
};

template <class Section>
Outline outline(const Schema<Section>& schema) {
  Outline outline{schema.name, schema.heading, {}};
  for (const auto& key : schema.keys) outline.keys.push_back(key.name);
  return outline;
}

const std::vector<Outline>& outlines() {
  static const std::vector<Outline> all{outline(database_schema()), outline(supervisor_schema()),
                                        outline(log_schema()), outline(group_schema())};
  return all;
}

bool has_key(const Outline& section, std::string_view key) {
  return std::find(section.keys.begin(), section.keys.end(), key) != section.keys.end();
}

// The heading of the first section that has this key; empty when none has.
std::string home_of(std::string_view key) {
  for (const Outline& section : outlines()) {
    if (has_key(section, key)) return std::string(section.heading);
  }
  return {};
}

std::string unknown_key(std::string_view name, std::string_view heading,
                        const std::vector<std::string_view>& valid) {
  const std::string message = "unknown key " + in_quotes(name) + " in " + std::string(heading);
  if (const std::string home = home_of(name); !home.empty()) return message + ", it belongs in " + home;
  if (const auto near = nearest(name, valid)) return message + ", did you mean " + in_quotes(*near) + "?";
  return message + ", valid keys are " + list_of(valid);
}

std::string unknown_section(std::string_view name) {
  if (const std::string home = home_of(name); !home.empty()) {
    return "key " + in_quotes(name) + " stands outside of a section, it belongs in " + home;
  }
  std::vector<std::string_view> names;
  std::vector<std::string_view> headings;
  for (const Outline& section : outlines()) {
    names.push_back(section.name);
    headings.push_back(section.heading);
  }
  const std::string message = "unknown section " + in_quotes(name);
  const auto near = nearest(name, names);
  if (!near) return message + ", valid sections are " + list_of(headings);
  const auto index = std::find(names.begin(), names.end(), *near) - names.begin();
  return message + ", did you mean " + std::string(headings[static_cast<std::size_t>(index)]) + "?";
}

// A table of strings. A key of [[group]] in it was meant for the group: in TOML, what follows the header
// [group.environment] belongs to the environment, whatever its indentation.
std::optional<std::vector<std::pair<std::string, std::string>>> environment(const Value& value) {
  const toml::table* table = value.node.as_table();
  if (table == nullptr) {
    value.expected_type("a table such as { LANG = \"C\" }");
    return std::nullopt;
  }
  std::vector<std::pair<std::string, std::string>> variables;
  for (const auto& [name, node] : *table) {
    const std::string_view variable = name.str();
    const std::string shown = in_quotes(variable) + " in [group.environment]";
    if (has_key(outline(group_schema()), variable)) {
      value.report.add(name.source(), shown + ": is a key of [[group]], move it above the environment");
    } else if (variable.empty() || variable.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      value.report.add(name.source(), shown + ": is not the name of an environment variable");
    } else if (auto setting = text(Value{node, shown, value.directory, value.files, value.report})) {
      variables.emplace_back(variable, std::move(*setting));
    }
  }
  return variables;
}

// ---- The walk ------------------------------------------------------------------------------------

class Parser {
 public:
  Parser(std::string directory, Files files) : directory_(std::move(directory)), files_(files) {}

  ParseResult parse(std::string_view text);

 private:
  void read_document(const toml::table& document);
  template <class Section>
  void read_singular(const toml::table& document, const Schema<Section>& schema, Section& section);
  template <class Section>
  void read_section(const toml::table& table, const Schema<Section>& schema, Section& section);
  void read_groups(const toml::table& document);
  void read_group(const toml::table& table);
  void check(const Supervisor& supervisor, const toml::table& table);
  void check(const Group& group, const toml::table& table);
  void check(const Database&, const toml::table&) {}
  void check(const Log&, const toml::table&) {}

  const std::string directory_;
  Files files_;
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
    const auto is_it = [&name = key](const Outline& section) { return section.name == name.str(); };
    if (std::none_of(outlines().begin(), outlines().end(), is_it)) {
      report_.add(key.source(), unknown_section(key.str()));
    }
  }
  read_singular(document, database_schema(), config_.database);
  read_singular(document, supervisor_schema(), config_.supervisor);
  read_singular(document, log_schema(), config_.log);
  read_groups(document);
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
    const auto is_it = [&name = name](const Key<Section>& key) { return key.name == name.str(); };
    const auto known = std::find_if(schema.keys.begin(), schema.keys.end(), is_it);
    if (known == schema.keys.end()) {
      report_.add(name.source(), unknown_key(name.str(), heading, outline(schema).keys));
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

ParseResult parse(std::string_view text, const std::string& directory, Files files) {
  return Parser(absolute(directory), files).parse(text);
}

}  // namespace postpone::config
