// Lists on standard output, as the reader wants them: a terminal or a program.
#pragma once

#include <string>

#include "cli/text/table.h"

namespace postpone::cli {

// The table as wide as the terminal of standard output, in colour where the terminal may show it.
std::string render_for_output(const Table& table);

// Says that a limit has cut a list. On a terminal it returns "(more exist: --limit)", to be printed below the
// list. Where a program reads the list, it prints that on standard error, and returns an empty text.
std::string note_of_more(bool more);

}  // namespace postpone::cli
