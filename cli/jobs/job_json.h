// Jobs as JSON: the machine form that `--json` prints, with the keys of docs/cli.md. For .cc files of this
// room only, since it brings nlohmann-json along.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sql/job.h"
#include "sql/overview.h"

namespace postpone::cli {

using Json = nlohmann::ordered_json;

Json to_json(const sql::Job& job);
Json to_json(const sql::Event& event);
Json to_json(const sql::Attempt& attempt);
Json to_json(const sql::Lease& lease);
Json to_json(const sql::Run& run);

// null for an empty text.
Json or_null(const std::string& text);
// What may be missing, and then is null.
Json or_null(const std::optional<sql::DatabaseTime>& time);
Json or_null(const std::optional<sql::Seconds>& duration);  // null also for an infinite one

// One text, with a newline at its end. What is not valid UTF-8 is made so; a job's arguments are the
// database's own text, number by number.
std::string to_text(const Json& json);
// The same on standard output.
void print(const Json& json);

}  // namespace postpone::cli
