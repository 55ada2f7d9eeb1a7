#include "web/html/json_colours.h"

#include <algorithm>
#include <string>

namespace postpone::web {
namespace {

constexpr std::size_t kMostShown = std::size_t{40} * 1024;
constexpr std::size_t kDeepest = 20;
// Indentation and marks may make many bytes of one: "[[[[1,1,1" makes forty. What is made is limited, too, for pages are
// kept and sent whole.
constexpr std::size_t kLongestEscape = 6;  // "&quot;"
constexpr std::size_t kMostMarkup = kMostShown * kLongestEscape;

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Walks along the text; each piece is a string, a bracket, a comma, or what stands between them.
class Colours {
 public:
  explicit Colours(std::string_view text) : rest_(text) {}

  Html all() {
    while (!rest_.empty() && room() > 0) step();
    if (!rest_.empty()) html_ += html("\n… {} bytes more", rest_.size());
    return std::move(html_);
  }

 private:
  // So many bytes of the text have room yet.
  std::size_t room() const {
    return (kMostMarkup - std::min(kMostMarkup, html_.text().size())) / kLongestEscape;
  }

  void step() {
    const char c = rest_.front();
    if (is_space(c)) return drop(1);
    if (c == '"') return string();
    if (c == '{' || c == '[') return open();
    if (c == '}' || c == ']') return close();
    if (c == ',') {
      html_ += html(",");
      drop(1);
      return break_line();
    }
    if (c == ':') {
      html_ += html(": ");
      return drop(1);
    }
    plain();
  }

  void drop(std::size_t bytes) { rest_.remove_prefix(std::min(bytes, rest_.size())); }

  void string() {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    const std::string_view text = rest_.substr(0, std::min(end + 1, room()));
    drop(text.size());
    std::string_view behind = rest_;
    while (!behind.empty() && is_space(behind.front())) behind.remove_prefix(1);
    html_ += behind.starts_with(':') ? html("<span class=\"k\">{}</span>", text)
                                     : html("<span class=\"s\">{}</span>", text);
  }

  void open() {
    html_ += html("{}", rest_.substr(0, 1));
    drop(1);
    while (!rest_.empty() && is_space(rest_.front())) drop(1);
    ++depth_;
    if (!rest_.starts_with('}') && !rest_.starts_with(']')) break_line();
    is_empty_ = rest_.starts_with('}') || rest_.starts_with(']');
  }

  void close() {
    if (depth_ > 0) --depth_;
    if (!std::exchange(is_empty_, false)) break_line();
    html_ += html("{}", rest_.substr(0, 1));
    drop(1);
  }

  void plain() {
    const std::size_t end =
        std::max<std::size_t>(1, std::min({rest_.find_first_of(" \n\t\r\"{}[],:"), rest_.size(), room()}));
    html_ += html("{}", rest_.substr(0, end));
    drop(end);
  }

  void break_line() { html_ += html("{}", "\n" + std::string(2 * std::min(depth_, kDeepest), ' ')); }

  std::string_view rest_;
  std::size_t depth_ = 0;
  bool is_empty_ = false;  // the bracket that was opened last has nothing in it
  Html html_;
};

}  // namespace

Html coloured_json(std::string_view text) {
  if (text.size() > kMostShown)
    return html("{}\n… {} bytes more", text.substr(0, kMostShown), text.size() - kMostShown);
  return Colours(text).all();
}

}  // namespace postpone::web
