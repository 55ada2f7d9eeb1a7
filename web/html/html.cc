#include "web/html/html.h"

#include "sys/utf8.h"
#include "web/http/url.h"

namespace postpone::web {
namespace {

std::string visible(char32_t code_point) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[(code_point >> shift) & 0xFU];
  return text;
}

// Breaks of a line are shown as such where the page keeps them, and are harmless elsewhere.
void append_character(std::string& text, std::string_view character, char32_t code_point) {
  switch (code_point) {
    case '&':
      text += "&amp;";
      return;
    case '<':
      text += "&lt;";
      return;
    case '>':
      text += "&gt;";
      return;
    case '"':
      text += "&quot;";
      return;
    case '\'':
      text += "&#39;";
      return;
    case '\n':
    case '\t':
      text += character;
      return;
    default:
      break;
  }
  if (sys::is_obeyed(code_point))
    text += visible(code_point);
  else
    text += character;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size() + text.size() / 8);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = sys::utf8_character_at(text, at);
    if (bytes == 0) {
      result += sys::kReplacement;
      ++at;
      continue;
    }
    append_character(result, text.substr(at, bytes), sys::utf8_code_point(text, at, bytes));
    at += bytes;
  }
  return result;
}

Link Link::with(Literal name, std::string_view value) const {
  Link link = *this;
  link.text_ += link.has_query_ ? '&' : '?';
  link.text_ += std::string(name.text()) + '=' + percent_encoded(value);
  link.has_query_ = true;
  return link;
}

void Filling::put_as_it_is(std::string_view value) {
  const std::size_t place = form_.find("{}");
  html_.text_.append(form_.substr(0, place)).append(value);
  form_.remove_prefix(place + 2);
}

Html Filling::take() {
  html_.text_.append(form_);
  return std::move(html_);
}

}  // namespace postpone::web
