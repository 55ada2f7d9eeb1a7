#include "cli/text/table.h"

#include <algorithm>

#include "cli/text/text.h"

namespace postpone::cli {
namespace {

constexpr std::string_view kGap = "  ";

// How wide each column wants to be; 0 for a column without content, which is left out.
std::vector<std::size_t> natural_widths(const Table& table) {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    std::size_t width = 0;
    for (const auto& row : table.rows) width = std::max(width, display_width(row[column]));
    const std::size_t title = display_width(table.columns[column].title);
    widths.push_back(width == 0 ? 0 : std::max(width, title));
  }
  return widths;
}

std::size_t line_width(const std::vector<std::size_t>& widths) {
  std::size_t sum = 0;
  for (const std::size_t width : widths) {
    if (width > 0) sum += width + (sum > 0 ? kGap.size() : 0);
  }
  return sum;
}

// Narrows the widest column of this fit, by one column of the terminal at a time, until the line is short
// enough. Numbers are not cut, and no column becomes narrower than its title.
void cut_widest(std::vector<std::size_t>& widths, const Table& table, std::size_t limit, Table::Fit fit) {
  while (line_width(widths) > limit) {
    std::size_t* widest = nullptr;
    for (std::size_t column = 0; column < widths.size(); ++column) {
      const Table::Column& heading = table.columns[column];
      const bool may_shrink = heading.fit == fit && heading.align == Table::Align::left &&
                              widths[column] > display_width(heading.title);
      if (may_shrink && (widest == nullptr || widths[column] > *widest)) widest = &widths[column];
    }
    if (widest == nullptr) return;
    --*widest;
  }
}

void leave_out(std::vector<std::size_t>& widths, const Table& table, std::size_t limit, Table::Fit fit) {
  for (std::size_t column = widths.size(); column-- > 0 && line_width(widths) > limit;) {
    if (table.columns[column].fit == fit) widths[column] = 0;
  }
}

void shrink(std::vector<std::size_t>& widths, const Table& table, std::size_t limit) {
  cut_widest(widths, table, limit, Table::Fit::first);
  leave_out(widths, table, limit, Table::Fit::first);
  cut_widest(widths, table, limit, Table::Fit::cut);
  leave_out(widths, table, limit, Table::Fit::spare);
}

enum class Row { title, plain, coloured };

std::string render_line(const Table& table, const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths, Row kind) {
  std::string line;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    if (widths[column] == 0) continue;
    std::string cell = cut(cells[column], widths[column]);
    const std::size_t shown = display_width(cell);  // a wide character may leave one column free
    const std::string padding(widths[column] - std::min(shown, widths[column]), ' ');
    const auto style = table.columns[column].style;
    if (kind == Row::coloured && style != nullptr) cell = styled(cell, style(cells[column]));
    if (!line.empty()) line += kGap;
    line += table.columns[column].align == Table::Align::right ? padding + cell : cell + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

}  // namespace

std::string render(const Table& table, std::size_t width, bool coloured) {
  std::vector<std::size_t> widths = natural_widths(table);
  if (width > 0) shrink(widths, table, width);

  std::vector<std::string> titles;
  for (const Table::Column& column : table.columns) titles.push_back(column.title);
  std::string text = render_line(table, titles, widths, Row::title);
  const Row kind = coloured ? Row::coloured : Row::plain;
  for (const auto& row : table.rows) text += render_line(table, row, widths, kind);
  return text;
}

}  // namespace postpone::cli
