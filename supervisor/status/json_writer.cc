#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <cstddef>

#include "sys/utf8.h"

namespace postpone::supervisor::status {
namespace {

bool is_plain(char c) {
  const auto code = static_cast<unsigned char>(c);
  return code >= 0x20 && code < 0x7F && c != '"' && c != '\\';
}

}  // namespace

void JsonWriter::write_string(std::string_view string) {
  text_ += '"';
  for (std::size_t at = 0; at < string.size();) {
    const auto from = string.begin() + static_cast<std::ptrdiff_t>(at);
    const auto plain = static_cast<std::size_t>(std::find_if_not(from, string.end(), is_plain) - from);
    text_.append(string.substr(at, plain));
    at += plain;
    if (at == string.size()) break;
    const char c = string[at];
    const std::size_t length = sys::utf8_character_at(string, at);
    if (c == '"' || c == '\\')
      text_.append(1, '\\').append(1, c);
    else if (c == '\n')
      text_ += "\\n";
    else if (length == 1)
      fmt::format_to(std::back_inserter(text_), "\\u{:04x}",
                     static_cast<unsigned>(static_cast<unsigned char>(c)));
    else if (length == 0)
      text_ += sys::kReplacement;
    else
      text_.append(string.substr(at, length));
    at += std::max<std::size_t>(length, 1);
  }
  text_ += '"';
}

}  // namespace postpone::supervisor::status
