#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <cstddef>

namespace postpone::supervisor::status {
namespace {

bool continues(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

bool is_plain(char c) {
  const auto code = static_cast<unsigned char>(c);
  return code >= 0x20 && code < 0x7F && c != '"' && c != '\\';
}

}  // namespace

std::size_t utf8_character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i)
    if (!continues(text, at + i)) return 0;
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

void JsonWriter::write_string(std::string_view string) {
  text_ += '"';
  for (std::size_t at = 0; at < string.size();) {
    const auto from = string.begin() + static_cast<std::ptrdiff_t>(at);
    const auto plain = static_cast<std::size_t>(std::find_if_not(from, string.end(), is_plain) - from);
    text_.append(string.substr(at, plain));
    at += plain;
    if (at == string.size()) break;
    const char c = string[at];
    const std::size_t length = utf8_character_at(string, at);
    if (c == '"' || c == '\\')
      text_.append(1, '\\').append(1, c);
    else if (c == '\n')
      text_ += "\\n";
    else if (length == 1)
      fmt::format_to(std::back_inserter(text_), "\\u{:04x}",
                     static_cast<unsigned>(static_cast<unsigned char>(c)));
    else if (length == 0)
      text_ += kReplacement;
    else
      text_.append(string.substr(at, length));
    at += std::max<std::size_t>(length, 1);
  }
  text_ += '"';
}

}  // namespace postpone::supervisor::status
