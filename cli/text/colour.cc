#include "cli/text/colour.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

namespace postpone::cli {
namespace {

struct StatusStyle {
  std::string_view status;
  Style style;
};
constexpr std::array<StatusStyle, 7> kStatusStyles = {{{"todo", Style::waiting},
                                                       {"doing", Style::busy},
                                                       {"succeeded", Style::good},
                                                       {"failed", Style::bad},
                                                       {"cancelled", Style::faint},
                                                       {"aborting", Style::bad},
                                                       {"aborted", Style::bad}}};

// Parameters of the sequence "Select Graphic Rendition": the colours that every terminal has, in the shades
// that its user chose.
std::string_view code_of(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::good:
      return "32";
    case Style::bad:
      return "31";
    case Style::busy:
      return "36";
    case Style::waiting:
      return "33";
    case Style::faint:
      return "2";
  }
  return "";
}

}  // namespace

bool is_coloured(int descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return isatty(descriptor) == 1;
}

std::string styled(std::string_view text, Style style) {
  if (style == Style::plain || text.empty()) return std::string(text);
  return "\x1b[" + std::string(code_of(style)) + "m" + std::string(text).append(kNoStyle);
}

Style style_of_status(std::string_view status) {
  const std::string_view label = status.substr(0, status.find(' '));
  for (const StatusStyle& known : kStatusStyles) {
    if (known.status == label) return known.style;
  }
  return Style::plain;
}

Style bad_unless_zero(std::string_view number) {
  return number.empty() || number == "0" ? Style::plain : Style::bad;
}

}  // namespace postpone::cli
