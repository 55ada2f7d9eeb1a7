// Text for terminals: tables, times, sizes, and nothing that a terminal would take for a command.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/screen/colour.h"
#include "sys/human.h"

namespace postpone::cli {

// As it may be shown: control characters and bytes that are no UTF-8 become \n, \t, \xNN or \u00NN, and what
// changes the direction of writing \uNNNN, so that a job's arguments cannot move the cursor or pretend to be
// another text.
std::string printable(std::string_view text);

// Columns that a terminal takes for the text, which may be styled().
std::size_t display_width(std::string_view text);
// The text within so many columns; what was cut ends in "...", and so does a style that was on.
std::string cut(const std::string& text, std::size_t width);

struct Table {
  enum class Align { left, right };
  // What a column loses where the table is too wide. Numbers, which are aligned to the right, are never cut.
  enum class Fit {
    cut,    // its cells are cut
    whole,  // nothing: a status, a time
    first,  // its cells are cut before those of others, and then it is left out, the last such column first
    spare,  // it is left out, whole, if that was not enough
  };
  struct Column {
    std::string title;
    Align align = Align::left;
    Style (*style)(std::string_view cell) = nullptr;  // of its cells, where there is colour
    Fit fit = Fit::cut;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`; printable() already
};

// The table in plain ASCII, without the columns that are empty in every row. Lines are kept within `width` (0
// = no limit) as far as what is never cut, titles among it, allows: of what may be cut the widest is first,
// and what was cut ends in "...". Pure.
std::string render(const Table& table, std::size_t width, bool coloured = false);

// On standard output, as wide as its terminal, with colour where that is wanted.
std::string render_for_output(const Table& table);

// "(more exist: --limit)": behind a list on a terminal; on standard error where a program reads the list.
// What is left to be printed on standard output.
std::string note_of_more(bool more);

// "1.2 GiB", "850 B".
std::string human_size(std::int64_t bytes);
using sys::human_duration;

}  // namespace postpone::cli
