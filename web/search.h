// The search of the jobs page: one line of words, each of which narrows the list down.
//
//   task:invoice.*  queue:mail  lock:"a b"  queueing_lock:x  cause:timed_out  args.customer_id=4711
//   id:17  id:>4190000  id:<4200000  -task:cache.sweep        17 alone is a job's id, another word part of a task's name
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/fleet.h"
#include "web/html/html.h"
#include "web/http/url.h"

namespace postpone::web {

struct Search {
  sql::JobSearch jobs;
  std::vector<std::string> faults;  // words that mean nothing, and are left out
};

inline constexpr std::size_t kMostConditions = 20;

// `hide_arguments`: a condition on an argument is a fault, for its answer would tell the value.
Search parse_search(const Query& query, bool hide_arguments);
std::vector<sql::JobCondition> parse_words(std::string_view text, bool hide_arguments,
                                           std::vector<std::string>& faults);
// As a person would have typed it: parse_words() of it gives the same conditions.
std::string words_of(const std::vector<sql::JobCondition>& conditions);

// Whether this condition and the next one say together that the id is this one: "id:17" is both.
bool is_id_equal(const std::vector<sql::JobCondition>& conditions, std::size_t at);

// "todo", of a tab; empty for all.
std::string_view to_string(sql::JobSearch::Tab tab);
std::string_view tab_word(sql::JobSearch::Tab tab);  // for people

// The page of this search, from its beginning.
Link link_of(sql::JobSearch::Tab tab, const std::vector<sql::JobCondition>& conditions);

// "Task", "not queue", …: what a condition is about, and the value, for people.
std::string label_of(const sql::JobCondition& condition);

}  // namespace postpone::web
