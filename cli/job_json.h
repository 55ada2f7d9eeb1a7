// Jobs as JSON: the machine form that `--json` prints, with the keys of docs/cli.md. For .cc files of this
// room only, since it brings nlohmann-json along.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sql/job.h"

namespace postpone::cli {

using Json = nlohmann::ordered_json;

Json to_json(const sql::Job& job);
Json to_json(const sql::Event& event);
Json to_json(const sql::Attempt& attempt);

// null for an empty text.
Json or_null(const std::string& text);

// On standard output. Text that is not valid UTF-8 is made so; a job's arguments are the database's own text,
// number by number.
void print(const Json& json);

}  // namespace postpone::cli
