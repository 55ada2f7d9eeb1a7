#include "config/sections.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <type_traits>
#include <utility>

#include "config/nearest.h"

namespace postpone::config {
namespace {

constexpr int kMaxSubworkersPerGroup = 512;
constexpr int kMaxPoolSize = 1024;
constexpr int kMaxJobs = 1'000'000'000;
constexpr int kMaxRescues = 1000;
constexpr std::size_t kMaxNameLength = 63;
constexpr std::size_t kMaxQueueNameLength = 128;  // characters, as the column queue_name has them

// ---- Values of single keys -----------------------------------------------------------------------

// A reader of one of these names, each of which stands for a value.
template <class T>
Reader<T> choice(const std::vector<std::pair<std::string_view, T>>& choices) {
  std::vector<std::string_view> names;
  std::vector<T> values;
  for (const auto& [name, value] : choices) {
    names.push_back(name);
    values.push_back(value);
  }
  return [which = one_of(std::move(names)), values = std::move(values)](const Value& value) {
    const auto index = which(value);
    return index ? std::optional<T>(values[*index]) : std::nullopt;
  };
}

std::optional<std::string> log_level(const Value& value) {
  const auto index = one_of({kLogLevels.begin(), kLogLevels.end()})(value);
  return index ? std::optional<std::string>(kLogLevels.at(*index)) : std::nullopt;
}

std::optional<std::vector<std::pair<std::string, std::string>>> log_levels(const Value& value) {
  const toml::table* table = value.node.as_table();
  if (table == nullptr) {
    value.expected_type("a table such as { database = \"debug\" }");
    return std::nullopt;
  }
  const std::vector<std::string_view> components{kLogComponents.begin(), kLogComponents.end()};
  std::vector<std::pair<std::string, std::string>> levels;
  for (const auto& [name, node] : *table) {
    const std::string shown = in_quotes(name.str()) + " in [log.levels]";
    if (std::find(components.begin(), components.end(), name.str()) == components.end()) {
      const auto near = nearest(name.str(), components);
      value.report.add(name.source(), shown + ": is no component, " +
                                          (near ? "did you mean " + in_quotes(*near) + "?"
                                                : "components are " + list_of(components)));
    } else if (auto level = log_level(Value{node, shown, value.directory, value.files, value.report})) {
      levels.emplace_back(name.str(), std::move(*level));
    }
  }
  return levels;
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

// The path, without "/./". ("a/.." stays: a may be a symbolic link.)
std::string beneath(const std::string& directory, const std::string& name) {
  std::filesystem::path path;
  for (const auto& part : std::filesystem::path(directory) / name)
    if (part != ".") path /= part;
  return path;
}

// What of a file's directory keeps the file from being made; empty = nothing that can be seen from here.
// Below /run a service manager makes directories when it starts what needs them.
std::string why_no_directory(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  if (directory.starts_with("/run/") || directory.starts_with("/var/run/")) return {};
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    return errno == ENOENT || errno == ENOTDIR ? "there is no directory " + directory : "";
  return S_ISDIR(status.st_mode) ? "" : directory + " is no directory";
}

bool has_directory(const Value& value, const std::string& path) {
  if (value.files == Files::trust) return true;
  const std::string why = why_no_directory(path);
  if (!why.empty()) value.reject(why);
  return why.empty();
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
  std::string path = beneath(value.directory, *name);
  if (value.files == Files::trust) return path;
  if (const std::string why = why_not_executable(path); !why.empty()) {
    value.reject(path + ": " + why);
    return std::nullopt;
  }
  return path;
}

// The path of a Unix socket. The kernel takes no longer one.
std::optional<std::string> socket_path(const Value& value) {
  const auto name = text(value);
  if (!name || name->empty()) return name;
  std::string path = beneath(value.directory, *name);
  constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kLongestPath) return has_directory(value, path) ? std::optional(path) : std::nullopt;
  value.reject(path + " is too long for a Unix socket, which has at most " + std::to_string(kLongestPath) +
               " bytes");
  return std::nullopt;
}

// "0660", as chmod takes it.
std::optional<int> file_mode(const Value& value) {
  const auto digits = text(value);
  if (!digits) return std::nullopt;
  const bool is_octal = digits->size() >= 3 && digits->size() <= 4 &&
                        digits->find_first_not_of("01234567") == std::string::npos;
  const int mode = is_octal ? std::stoi(*digits, nullptr, 8) : -1;
  if (mode >= 0 && mode <= 0777) return mode;
  value.expected("a file mode in octal digits such as \"0660\"");
  return std::nullopt;
}

std::optional<std::string> system_group(const Value& value) {
  auto name = text(value);
  if (!name || name->empty() || value.files == Files::trust) return name;
  if (::getgrnam(name->c_str()) != nullptr) return name;
  value.reject("there is no group " + in_quotes(*name) + " on this host");
  return std::nullopt;
}

std::optional<std::string> system_user(const Value& value) {
  auto name = text(value);
  if (!name || name->empty() || value.files == Files::trust) return name;
  if (::getpwnam(name->c_str()) != nullptr) return name;
  value.reject("there is no user " + in_quotes(*name) + " on this host");
  return std::nullopt;
}

// Whether it can be written is for whoever opens it to find out: that is another user, as a rule.
std::optional<std::string> log_file(const Value& value) {
  auto name = text(value);
  if (!name || name->empty()) return name;
  if (name->back() != '/') {
    std::string path = beneath(value.directory, *name);
    return has_directory(value, path) ? std::optional(std::move(path)) : std::nullopt;
  }
  value.reject(in_quotes(*name) + " is a directory, not a file");
  return std::nullopt;
}

std::optional<std::vector<std::pair<std::string, std::string>>> environment(const Value& value);

// ---- The tables ----------------------------------------------------------------------------------

template <class Section, class T>
Key<Section> key(std::string_view name, T Section::*field, Reader<std::type_identity_t<T>> reader) {
  return {name, [field, reader = std::move(reader)](const Value& value, Section& section) {
            if (auto read = reader(value)) section.*field = std::move(*read);
          }};
}

template <class Section>
Key<Section> required(Key<Section> key) {
  key.required = true;
  return key;
}

}  // namespace

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
          },
  };
  return schema;
}

const Schema<Stalled>& stalled_schema() {
  static const auto action = choice<StalledAction>(
      {{"retry", StalledAction::retry}, {"fail", StalledAction::fail}, {"report", StalledAction::report}});
  static const Schema<Stalled> schema{
      .name = "stalled",
      .heading = "[stalled]",
      .keys =
          {
              key("action", &Stalled::action, action),
              key("foreign_action", &Stalled::foreign_action, action),
              key("max_stalled", &Stalled::max_stalled, integer(1, kMaxRescues)),
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
              key("levels", &Log::levels, log_levels),
              key("format", &Log::format,
                  choice<LogFormat>({{"text", LogFormat::text}, {"json", LogFormat::json}})),
              key("file", &Log::file, log_file),
          },
  };
  return schema;
}

const Schema<Status>& status_schema() {
  static const Schema<Status> schema{
      .name = "status",
      .heading = "[status]",
      .keys =
          {
              key("socket", &Status::socket, socket_path),
              key("mode", &Status::mode, file_mode),
              key("group", &Status::group, system_group),
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
              key("user", &Group::user, system_user),
              key("environment", &Group::environment, environment),
              key("queues", &Group::queues, queue_names),
              key("count", &Group::count, integer(1, kMaxSubworkersPerGroup)),
              key("delete_jobs", &Group::delete_jobs,
                  choice<DeleteJobs>({{"never", DeleteJobs::never},
                                      {"successful", DeleteJobs::successful},
                                      {"always", DeleteJobs::always}})),
              key("fresh_process_per_job", &Group::fresh_process_per_job, boolean),
              key("max_jobs", &Group::max_jobs, integer(0, kMaxJobs)),
              key("max_jobs_jitter", &Group::max_jobs_jitter, integer(0, kMaxJobs)),
              key("max_rss", &Group::max_rss, size(0)),
              key("memory_limit", &Group::memory_limit, size(0)),
              key("max_age", &Group::max_age, duration(Milliseconds{0})),
              key("time_limit", &Group::time_limit, duration(Milliseconds{0})),
              key("slow_after", &Group::slow_after, duration(Milliseconds{0})),
              key("abort_grace", &Group::abort_grace, duration(Milliseconds{0})),
              key("max_output", &Group::max_output, size(1)),
          },
  };
  return schema;
}

namespace {

// ---- Names that are none -------------------------------------------------------------------------

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
                                        outline(stalled_schema()),  outline(log_schema()),
                                        outline(status_schema()),   outline(group_schema())};
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

}  // namespace

bool is_section(std::string_view name) {
  const auto is_it = [name](const Outline& section) { return section.name == name; };
  return std::any_of(outlines().begin(), outlines().end(), is_it);
}

std::string unknown_key(std::string_view name, std::string_view heading) {
  const auto is_it = [heading](const Outline& section) { return section.heading == heading; };
  const auto& valid = std::find_if(outlines().begin(), outlines().end(), is_it)->keys;
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

}  // namespace postpone::config
