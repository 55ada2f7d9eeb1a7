#include "cli/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

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

bool continues_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// A character of more than one byte that a terminal obeys.
struct Disguise {
  std::size_t bytes = 0;  // 0 = the text begins with none
  unsigned code_point = 0;
};

Disguise disguise_at(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const bool is_c1_control = byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) <= 0x9F;
  if (is_c1_control) return {2, byte(1)};
  const bool is_bidi_control = byte(0) == 0xE2 && ((byte(1) == 0x80 && byte(2) >= 0xAA && byte(2) <= 0xAE) ||
                                                   (byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9));
  if (is_bidi_control) return {3, 0x2000U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU)};
  return {};
}

std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::size_t end = 0;
  for (std::size_t kept = 0; end < text.size(); ++end) {
    if (!continues_code_point(text[end]) && kept++ == width - std::min(width, kCut.size())) break;
  }
  return text.substr(0, end) + std::string(kCut.substr(0, width));
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

// Takes what is too much from the widest column, one by one; nothing from numbers, nothing below a title's
// width.
void shrink(std::vector<std::size_t>& widths, const Table& table, std::size_t limit) {
  while (line_width(widths) > limit) {
    std::size_t* widest = nullptr;
    for (std::size_t column = 0; column < widths.size(); ++column) {
      const Table::Column& heading = table.columns[column];
      const bool may_shrink =
          heading.align == Table::Align::left && widths[column] > display_width(heading.title);
      if (may_shrink && (widest == nullptr || widths[column] > *widest)) widest = &widths[column];
    }
    if (widest == nullptr) return;
    --*widest;
  }
}

enum class Row { title, plain, coloured };

std::string render_line(const Table& table, const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths, Row kind) {
  std::string line;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    if (widths[column] == 0) continue;
    std::string cell = cut(cells[column], widths[column]);
    const std::string padding(widths[column] - display_width(cell), ' ');
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
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto code = static_cast<unsigned char>(c);
    if (const Disguise disguise = disguise_at(text.substr(at)); disguise.bytes > 0) {
      safe += format("\\u%04X", disguise.code_point);
      at += disguise.bytes - 1;
    } else if (c == '\n') {
      safe += "\\n";
    } else if (c == '\t') {
      safe += "\\t";
    } else if (code < 0x20 || code == 0x7F) {
      safe += format("\\x%02X", code);
    } else {
      safe += c;
    }
  }
  return safe;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_code_point(c); }));
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
  return render(table, terminal_width(), is_coloured(STDOUT_FILENO));
}

std::size_t terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::size_t terminal_height() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

std::string human_size(std::int64_t bytes) {
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return format("%.1f %s", value, kUnits.at(unit));
}

std::string human_duration(std::chrono::duration<double> duration) {
  const double seconds = duration.count();
  if (seconds < 0.0995) return format("%.1f ms", seconds * 1000);
  if (seconds < 0.9995) return format("%.0f ms", seconds * 1000);
  if (seconds < 59.95) return format("%.1f s", seconds);
  const long long whole = std::llround(seconds);
  if (whole < 3600) return format("%lld min %02lld s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return format("%lld h %02lld min", whole / 3600, whole % 3600 / 60);
  return format("%lld d %02lld h", whole / 86400, whole % 86400 / 3600);
}

}  // namespace postpone::cli
