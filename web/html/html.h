// Markup that is safe to send. This is the only way by which text comes into a page:
//
//   html("<a href=\"{}\">{}</a>", Link("/jobs").with("queue", queue), name(queue))
//
// The form is a literal, checked by the compiler: as many values as places, and each where its type may stand.
//
//   place                        types
//   between tags                 text (is escaped), numbers, Html (stays as it is)
//   within a quoted attribute    text (is escaped), numbers
//   the whole of href, action    Link
//   within a tag, unquoted       Attribute
//
// No text of a job can become a form, a Link's path, an Attribute or an Html, so none can become markup.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace postpone::web {

// The text as it may stand between tags and in a quoted attribute. What a browser would obey instead of showing
// it (controls, what changes the direction of writing) becomes visible, as \u202e; bytes that are no UTF-8
// become U+FFFD.
std::string escaped(std::string_view text);

// Text of this program, known when it is compiled.
class Literal {
 public:
  consteval Literal(const char* text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

class Html {
 public:
  Html() = default;
  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  Html& operator+=(const Html& other) {
    text_ += other.text_;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) {
    a += b;
    return a;
  }

 private:
  friend class Filling;
  std::string text_;
};

// A path of this server, and what stands behind the question mark.
class Link {
 public:
  explicit Link(Literal path) : text_(path.text()) {}
  Link(Literal path, std::int64_t id) : text_(std::string(path.text()) + std::to_string(id)) {}
  Link with(Literal name, std::string_view value) const;  // REQUIRES: after the path, before at()
  Link with(Literal name, std::int64_t value) const { return with(name, std::to_string(value)); }
  const std::string& text() const { return text_; }  // not escaped for HTML

 private:
  std::string text_;
  bool has_query_ = false;
};

// An attribute that stands there or does not: Attribute(" aria-current=\"page\"", is_current).
class Attribute {
 public:
  explicit Attribute(Literal text, bool is_there = true) : text_(is_there ? text.text() : "") {}
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

enum class Kind { text, markup, link, attribute };

template <class Value>
consteval Kind kind_of() {
  if (std::is_same_v<Value, Html>) return Kind::markup;
  if (std::is_same_v<Value, Link>) return Kind::link;
  if (std::is_same_v<Value, Attribute>) return Kind::attribute;
  return Kind::text;
}

// Reads a form at compile time; a throw there is an error of the compiler, with these words.
class FormReader {
 public:
  constexpr explicit FormReader(std::string_view form) : form_(form) {}

  constexpr void read(const Kind* kinds, std::size_t count) {
    std::size_t next = 0;
    for (at_ = 0; at_ < form_.size(); ++at_) {
      if (form_[at_] == '{' || form_[at_] == '}') {
        if (form_.substr(at_, 2) != "{}") throw "a brace stands for a value: {}";
        if (next == count) throw "there are fewer values than places";
        place(kinds[next++]);
        ++at_;
      } else {
        step(form_[at_]);
      }
    }
    if (next != count) throw "there are more values than places";
  }

 private:
  enum class State { between, in_tag, in_value };

  constexpr void step(char c) {
    if (state_ == State::between) {
      if (c == '<') state_ = State::in_tag;
      return;
    }
    if (state_ == State::in_value) {
      if (c == '"') state_ = State::in_tag;
      return;
    }
    if (c == '\'') throw "attributes are quoted by \"";
    if (c == '>') state_ = State::between;
    if (c == '"') {
      state_ = State::in_value;
      value_begins_ = at_ + 1;
    }
  }

  constexpr bool is_of(std::string_view name) const { return form_.substr(0, value_begins_).ends_with(name); }

  constexpr std::string_view attribute_name() const {
    const std::string_view before = form_.substr(0, value_begins_ - 2);  // without ="
    return before.substr(before.rfind(' ') + 1);
  }

  constexpr void place(Kind kind) const {
    if (state_ == State::in_tag) {
      if (kind != Kind::attribute) throw "within a tag only an Attribute may stand";
      return;
    }
    if (kind == Kind::attribute) throw "an Attribute stands within a tag";
    const bool is_url =
        state_ == State::in_value && (is_of(" href=\"") || is_of(" src=\"") || is_of(" action=\""));
    if (is_url != (kind == Kind::link)) throw "a Link, and nothing else, stands in href, src and action";
    if (is_url && (at_ != value_begins_ || form_.substr(at_ + 2, 1) != "\""))
      throw "a Link is all of its attribute";
    if (state_ == State::in_value && kind == Kind::markup) throw "markup does not stand in an attribute";
    if (state_ == State::in_value && (is_of(" style=\"") || attribute_name().starts_with("on")))
      throw "styles and scripts hold no values";
  }

  std::string_view form_;
  std::size_t at_ = 0;
  std::size_t value_begins_ = 0;
  State state_ = State::between;
};

template <class... Values>
class Form {
 public:
  consteval Form(const char* text) : text_(text) {  // NOLINT(google-explicit-constructor)
    constexpr std::array<Kind, sizeof...(Values)> kKinds{kind_of<Values>()...};
    FormReader(text_).read(kKinds.data(), kKinds.size());
  }
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

// Fills the places of a form, one after the other.
class Filling {
 public:
  explicit Filling(std::string_view form) : form_(form) {}
  void put(const Html& value) { put_as_it_is(value.text()); }
  void put(const Link& value) { put_as_it_is(escaped(value.text())); }
  void put(const Attribute& value) { put_as_it_is(value.text()); }
  void put(std::string_view value) { put_as_it_is(escaped(value)); }
  template <std::integral Number>
  requires(!std::same_as<Number, bool> && !std::same_as<Number, char>) void put(Number value) {
    put_as_it_is(std::to_string(value));
  }
  Html take();

 private:
  void put_as_it_is(std::string_view value);

  std::string_view form_;  // what is left of it
  Html html_;
};

template <class... Values>
Html html(Form<std::type_identity_t<Values>...> form, const Values&... values) {
  Filling filling(form.text());
  (filling.put(values), ...);
  return filling.take();
}

// What `make` makes of each, one after the other.
template <class Range, class Make>
Html each_of(const Range& range, Make make) {
  Html all;
  for (const auto& value : range) all += make(value);
  return all;
}

}  // namespace postpone::web
