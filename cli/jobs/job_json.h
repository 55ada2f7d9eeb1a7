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
Json to_json(const sql::Progress& progress);
Json to_json(const sql::GivenResult& given);
Json to_json(const sql::Event& event);
Json to_json(const sql::Attempt& attempt);
Json to_json(const sql::Lease& lease);
Json to_json(const sql::DoingJob& run);

// These are null for a value that is missing: an empty text, and also an infinite duration.
Json or_null(const std::string& text);
Json or_null(const std::optional<sql::DatabaseTime>& time);
Json or_null(const std::optional<sql::Seconds>& duration);
template <typename Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// The JSON as text, with a newline at its end. Bytes that are not valid UTF-8 are replaced; a job's arguments
// are the text of the database, so that no number changes.
std::string to_text(const Json& json);
// Prints to_text() on standard output.
void print(const Json& json);

}  // namespace postpone::cli
