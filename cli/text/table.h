// Tables in plain text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/text/colour.h"

namespace postpone::cli {

struct Table {
  enum class Align { left, right };
  // What happens to a column where the table is too wide. Columns that are aligned to the right hold numbers,
  // which are never cut.
  enum class Fit {
    cut,    // its cells are cut
    whole,  // nothing: a status, a time
    first,  // its cells are cut before those of `cut`; then it is left out, the last such column first
    spare,  // it is left out, if all of that was not enough
  };
  struct Column {
    std::string title;
    Align align = Align::left;
    Style (*style)(std::string_view cell) = nullptr;  // of its cells, where there is colour
    Fit fit = Fit::cut;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // REQUIRES: each as long as `columns`, and printable() already
};

// The table in plain text, without the columns that are empty in every row. Lines are kept within `width` (0
// = no limit), as far as titles and cells that are never cut allow it. The widest column is cut first, and a
// cell that was cut ends in "...". Pure.
std::string render(const Table& table, std::size_t width, bool coloured = false);

}  // namespace postpone::cli
