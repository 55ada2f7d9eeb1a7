#include "config/shape.h"

#include <algorithm>

namespace postpone::config {
namespace {

constexpr int kMostParts = 64;  // of a key
constexpr int kDeepest = 16;    // brackets that are open

// Walks over a text as TOML reads it, so far as that is needed to know what stands outside of strings and
// comments. What it makes of a text that is no TOML does not matter: the parser stops at that place itself.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  std::optional<Problem> problem() {
    while (at_ < text_.size()) {
      if (const char* const why = step()) return Problem{line_, 1, std::string("not valid: ") + why};
    }
    return std::nullopt;
  }

 private:
  // What is wrong with the next piece; null = nothing.
  const char* step() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      skip_string(c);
      return nullptr;
    }
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return nullptr;
    }
    ++at_;
    if (c == '\n') ++line_;
    if (c == '.')
      return ++dots_ < kMostParts ? nullptr : "a key of so many parts, which no configuration has";
    // All that may stand between two keys. (Blanks may stand within one.)
    if (c == '\n' || c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}') dots_ = 0;
    if (c == ']' || c == '}') depth_ = std::max(0, depth_ - 1);
    if ((c == '[' || c == '{') && ++depth_ > kDeepest)
      return "arrays or tables inside of so many others, which no configuration has";
    return nullptr;
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool long_one = text_.substr(at_).starts_with(three);
    at_ += long_one ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n' && !long_one) return;  // not closed, which the parser says
      if (c == '\n') ++line_;
      if (c == '\\' && quote == '"' && text_.substr(at_ + 1, 1) != "\n") {
        at_ += 2;
        continue;
      }
      if (long_one && text_.substr(at_).starts_with(three)) return skip_end(quote);
      ++at_;
      if (c == quote && !long_one) return;
    }
  }

  // A string in three quotes may end with two more, which are its own.
  void skip_end(char quote) {
    for (int quotes = 0; quotes < 5 && at_ < text_.size() && text_[at_] == quote; ++quotes) ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  int dots_ = 0;
  int depth_ = 0;
};

}  // namespace

std::optional<Problem> problem_of_shape(std::string_view text) {
  if (text.size() > kMaxFileBytes) return Problem{0, 0, kTooLarge};
  return Walk(text).problem();
}

}  // namespace postpone::config
