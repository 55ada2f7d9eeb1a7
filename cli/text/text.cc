#include "cli/text/text.h"

#include <locale.h>  // NOLINT(modernize-deprecated-headers): newlocale() is POSIX's
#include <unistd.h>
#include <wchar.h>  // NOLINT(modernize-deprecated-headers): and so is wcwidth()

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/screen/terminal.h"
#include "sys/utf8.h"

namespace postpone::cli {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kCut = "...";

// snprintf() for the few short texts here that need it.
template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

struct Character {
  std::size_t bytes = 0;  // at least one
  char32_t code_point = 0;
  bool valid = false;  // else one byte that is no UTF-8
};

Character character_at(std::string_view text, std::size_t at) {
  const std::size_t bytes = sys::utf8_character_at(text, at);
  if (bytes == 0) return {1, static_cast<unsigned char>(text[at]), false};
  return {bytes, sys::utf8_code_point(text, at, bytes), true};
}

// As the C library knows it, whatever locale the environment names. What it does not know is taken for one
// column.
std::size_t columns_of(char32_t c) {
  if (c < 0x300) return 1;
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return 1;
  const locale_t before = ::uselocale(utf8);
  const int columns = ::wcwidth(static_cast<wchar_t>(c));
  ::uselocale(before);
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

// The bytes of what switches a style on or off there; 0 when nothing does. In printable() text nothing else
// begins with an escape.
std::size_t style_at(std::string_view text, std::size_t at) {
  constexpr std::string_view kBegin = "\x1b[";
  if (text.substr(at, kBegin.size()) != kBegin) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;", at + kBegin.size());
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 - at : 0;
}

// 0 for a column without content.
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

// Takes what is too much from the widest column that has this fit, one by one; nothing from numbers, nothing
// below a title's width.
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
    const std::size_t shown = display_width(cell);  // a wide character may not fill what it was cut to
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

std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (!c.valid || c.code_point < 0x20 || c.code_point == 0x7F) {
      if (c.code_point == '\n')
        safe += "\\n";
      else if (c.code_point == '\t')
        safe += "\\t";
      else
        safe += format("\\x%02X", static_cast<unsigned>(c.code_point));
    } else if (sys::is_obeyed(c.code_point)) {
      safe += format("\\u%04X", static_cast<unsigned>(c.code_point));
    } else {
      safe += text.substr(at, c.bytes);
    }
    at += c.bytes;
  }
  return safe;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t style = style_at(text, at); style > 0) {
      at += style;
      continue;
    }
    const Character c = character_at(text, at);
    width += columns_of(c.code_point);
    at += c.bytes;
  }
  return width;
}

std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  const std::size_t room = width - std::min(width, kCut.size());
  std::string kept;
  std::string_view last_style = kNoStyle;
  for (std::size_t at = 0, used = 0; at < text.size();) {
    std::size_t bytes = style_at(text, at);
    if (bytes > 0) {
      last_style = std::string_view(text).substr(at, bytes);
    } else {
      const Character c = character_at(text, at);
      used += columns_of(c.code_point);
      if (used > room) break;
      bytes = c.bytes;
    }
    kept.append(text, at, bytes);
    at += bytes;
  }
  kept += kCut.substr(0, width);
  return last_style == kNoStyle ? kept : kept.append(kNoStyle);
}

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

std::string render_for_output(const Table& table) {
  return render(table, terminal_size().value_or(ScreenSize()).width, is_coloured(STDOUT_FILENO));
}

std::string note_of_more(bool more) {
  if (!more) return "";
  if (isatty(STDOUT_FILENO) == 1) return "(more exist: --limit)\n";
  std::cerr << "postpone: more exist: --limit\n";
  return "";
}

std::string human_size(std::int64_t bytes) {
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return format("%.1f %s", value, kUnits.at(unit));
}

}  // namespace postpone::cli
