#include "cli/screen/output.h"

#include <unistd.h>

#include <iostream>

#include "cli/screen/terminal.h"
#include "cli/text/colour.h"

namespace postpone::cli {

std::string render_for_output(const Table& table) {
  return render(table, terminal_size().value_or(ScreenSize()).width, is_coloured(STDOUT_FILENO));
}

std::string note_of_more(bool more) {
  if (!more) return "";
  if (isatty(STDOUT_FILENO) == 1) return "(more exist: --limit)\n";
  std::cerr << "postpone: more exist: --limit\n";
  return "";
}

}  // namespace postpone::cli
