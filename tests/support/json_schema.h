// A validator for the part of JSON Schema (2020-12) that docs/status.schema.json uses: type, enum, const,
// required, properties, items, maxItems, minimum, pattern, anyOf, and $ref into $defs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace postpone::tests {

// What is wrong with a document, each with its place: "/supervisor/pid: is no integer". Stricter than the
// standard in two things: a property that the schema does not know is wrong, so that nothing is told that is
// not documented, and a keyword that this validator does not know throws.
std::vector<std::string> violations(const nlohmann::json& document, const nlohmann::json& schema);

}  // namespace postpone::tests
