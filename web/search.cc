#include "web/search.h"

#include <algorithm>
#include <array>
#include <utility>

namespace postpone::web {
namespace {

using sql::JobCondition;
using Field = JobCondition::Field;
using Tab = sql::JobSearch::Tab;

struct Named {
  Field field;
  std::string_view name;
};
constexpr std::array<Named, 5> kNamed = {{{Field::task, "task"},
                                          {Field::queue, "queue"},
                                          {Field::lock, "lock"},
                                          {Field::queueing_lock, "queueing_lock"},
                                          {Field::cause, "cause"}}};

struct TabName {
  Tab tab;
  std::string_view value;
  std::string_view word;
};
constexpr std::array<TabName, 8> kTabs = {{{Tab::all, "", "All"},
                                           {Tab::waiting, "waiting", "Waiting"},
                                           {Tab::scheduled, "scheduled", "Scheduled"},
                                           {Tab::running, "running", "Running"},
                                           {Tab::failed, "failed", "Failed"},
                                           {Tab::succeeded, "succeeded", "Succeeded"},
                                           {Tab::cancelled, "cancelled", "Cancelled"},
                                           {Tab::aborted, "aborted", "Aborted"}}};

std::string_view name_of(Field field) {
  const auto named =
      std::find_if(kNamed.begin(), kNamed.end(), [&](const Named& one) { return one.field == field; });
  return named == kNamed.end() ? "" : named->name;
}

// Splits at spaces, but not within quotes; a quote or a backslash within these follows a backslash.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_quotes = false;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"')
      in_quotes = !in_quotes;
    else if (in_quotes && c == '\\' && at + 1 < text.size())
      word += text[++at];
    else if (!in_quotes && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
      end_word();
    else
      word += c;
  }
  end_word();
  return words;
}

std::string quoted(const std::string& value) {
  if (value.find_first_of(" \t\n\r\"\\") == std::string::npos) return value;
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

// "17", ">17", "<17": one condition or two.
bool add_ids(std::string_view value, std::vector<JobCondition>& conditions) {
  const char sign = value.empty() ? ' ' : value.front();
  const std::string_view digits = sign == '>' || sign == '<' ? value.substr(1) : value;
  const auto id = sign == '>' && digits == "0" ? std::optional<std::int64_t>(0) : parse_id(digits);
  if (!id) return false;
  if (sign == '>') {
    if (*id == INT64_MAX) return false;  // there is no id behind the greatest
    conditions.push_back({Field::id_from, std::to_string(*id + 1)});
  } else if (sign == '<') {
    conditions.push_back({Field::id_to, std::to_string(*id - 1)});
  } else {
    conditions.push_back({Field::id_from, std::to_string(*id)});
    conditions.push_back({Field::id_to, std::to_string(*id)});
  }
  return true;
}

bool add_argument(std::string_view word, bool is_not, std::vector<JobCondition>& conditions) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0) return false;
  conditions.push_back(
      {Field::argument, std::string(word.substr(equals + 1)), std::string(word.substr(0, equals)), is_not});
  return true;
}

bool add_word(std::string_view word, std::vector<JobCondition>& conditions) {
  const bool is_not = word.size() > 1 && word.front() == '-';
  if (is_not) word.remove_prefix(1);
  if (word.starts_with("args.")) return add_argument(word.substr(5), is_not, conditions);
  const std::size_t colon = word.find(':');
  const std::string_view field = colon == std::string_view::npos ? "" : word.substr(0, colon);
  if (field == "id") return !is_not && add_ids(word.substr(colon + 1), conditions);
  for (const Named& named : kNamed) {
    if (field != named.name) continue;
    if (colon + 1 == word.size()) return false;
    conditions.push_back({named.field, std::string(word.substr(colon + 1)), "", is_not});
    return true;
  }
  if (!is_not && add_ids(word, conditions)) return true;
  conditions.push_back({Field::task, '*' + std::string(word) + '*', "", is_not});
  return true;
}

// The number of a condition, `step` further, as far as there are numbers.
std::string id_beside(const std::string& value, std::int64_t step) {
  const std::int64_t id = std::stoll(value);
  const bool is_last = step > 0 ? id == INT64_MAX : id == 0;
  return std::to_string(is_last ? id : id + step);
}

bool is_about_argument(std::string_view word) {
  return word.starts_with("args.") || word.starts_with("-args.");
}

std::string hidden_fault(std::string_view word) {
  return std::string(word) + " (arguments are hidden)";
}

void add_field(const Query& query, std::string_view name, Field field,
               std::vector<JobCondition>& conditions) {
  const std::string value = query.get(name);
  if (!value.empty()) conditions.push_back({field, value});
}

}  // namespace

std::string_view to_string(Tab tab) {
  return kTabs.at(static_cast<std::size_t>(tab)).value;
}

std::string_view tab_word(Tab tab) {
  return kTabs.at(static_cast<std::size_t>(tab)).word;
}

std::vector<JobCondition> parse_words(std::string_view text, bool hide_arguments,
                                      std::vector<std::string>& faults) {
  std::vector<JobCondition> conditions;
  for (const std::string& word : split(text)) {
    if (hide_arguments && is_about_argument(word))
      faults.push_back(hidden_fault(word));
    else if (conditions.size() >= kMostConditions || !add_word(word, conditions))
      faults.push_back(word);
  }
  return conditions;
}

Search parse_search(const Query& query, bool hide_arguments) {
  Search search;
  const std::string status = query.get("status");
  for (const TabName& tab : kTabs)
    if (tab.value == status) search.jobs.tab = tab.tab;
  if (!status.empty() && search.jobs.tab == Tab::all) search.faults.push_back("status=" + status);
  search.jobs.conditions = parse_words(query.get("q"), hide_arguments, search.faults);
  for (const Named& named : kNamed) add_field(query, named.name, named.field, search.jobs.conditions);
  const std::string argument = query.get("args");
  if (!argument.empty() && hide_arguments)
    search.faults.push_back(hidden_fault("args." + argument));
  else if (!argument.empty() && !add_argument(argument, false, search.jobs.conditions))
    search.faults.push_back(argument);
  search.jobs.before = query.id("before");
  if (!search.jobs.before) search.jobs.after = query.id("after");
  return search;
}

bool is_id_equal(const std::vector<JobCondition>& conditions, std::size_t at) {
  return at + 1 < conditions.size() && conditions[at].field == Field::id_from &&
         conditions[at + 1].field == Field::id_to && conditions[at + 1].value == conditions[at].value;
}

std::string words_of(const std::vector<JobCondition>& conditions) {
  std::string text;
  for (std::size_t at = 0; at < conditions.size(); ++at) {
    const JobCondition& condition = conditions[at];
    if (!text.empty()) text += ' ';
    if (is_id_equal(conditions, at)) {
      text += "id:" + condition.value;
      ++at;
      continue;
    }
    if (condition.is_not) text += '-';
    switch (condition.field) {
      case Field::id_from:
        text += "id:>" + id_beside(condition.value, -1);
        break;
      case Field::id_to:
        text += "id:<" + id_beside(condition.value, 1);
        break;
      case Field::argument:
        text += quoted("args." + condition.argument + '=' + condition.value);
        break;
      default:
        text += std::string(name_of(condition.field)) + ':' + quoted(condition.value);
    }
  }
  return text;
}

Link link_of(Tab tab, const std::vector<JobCondition>& conditions) {
  Link link("/jobs");
  if (tab != Tab::all) link = link.with("status", to_string(tab));
  if (!conditions.empty()) link = link.with("q", words_of(conditions));
  return link;
}

std::string label_of(const JobCondition& condition) {
  const std::string prefix = condition.is_not ? "not " : "";
  switch (condition.field) {
    case Field::id_from:
      return "id from";
    case Field::id_to:
      return "id up to";
    case Field::queueing_lock:
      return prefix + "queueing lock";
    case Field::argument:
      return prefix + "args." + condition.argument;
    default:
      return prefix + std::string(name_of(condition.field));
  }
}

}  // namespace postpone::web
