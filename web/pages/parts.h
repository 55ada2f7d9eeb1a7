// What pages have in common: names, states, links to jobs, notices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sql/fleet.h"
#include "web/html/format.h"
#include "web/html/html.h"

namespace postpone::web {

// One of the symbols of the frame: icon("#s-run").
Html icon(Literal symbol);
Html icon(Literal symbol, Literal classes);

// A name that a stranger chose: kept apart from the text around it, and with its end where it is cut.
Html name(std::string_view text);
// A dash for none.
Html name_or_dash(const std::optional<std::string>& text);
Html dash();

// Its own shape and its word; colour alone says nothing.
Html state_mark(sql::State state);
Html state_mark_big(sql::State state);
std::string_view state_word(sql::State state);
// Of an attempt.
Html cause_mark(const sql::Attempt& attempt);
// "signal 11", "timed out": a cause in words.
std::string cause_word(std::string_view cause, std::string_view detail);

Link job_at(sql::JobId id);
// "4193012", as a link.
Html job_link(sql::JobId id);
// The same with the task.
Html job_pair(sql::JobId id, std::string_view task);
Link jobs_of(Literal field, const std::string& value);

// A bar of 0 to 100 percent.
Html bar(double percent);
Html progress_bar(const std::optional<sql::Progress>& progress);

// JSON, indented and coloured; numbers as they are stored. Hidden arguments are said to be hidden.
Html json_block(const std::optional<std::string>& json);

// A notice above the page's content. `what` in bold, `more` below it.
Html notice(Literal classes, std::string_view what, std::string_view more);

// The whole of a list that is empty.
Html empty_list(std::string_view what, std::string_view more);

}  // namespace postpone::web
