// The fields of a frame's body, one after the other, as bytes. For frame.cc only.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "libtask/wire/frame.h"

namespace libtask::wire {

// What may stand behind the fields of a body: its tail.
enum class Tag : std::uint8_t {
  meta = 1,  // of each job in the body, in their order; empty = none
  note = 2,
};

class Writer {
 public:
  template <std::integral T>
  void integer(T value) {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<char>(bits & 0xff));
      if constexpr (sizeof(T) > 1) bits >>= 8;
    }
  }
  void flag(bool value) { integer<std::uint8_t>(value ? 1 : 0); }
  void text(std::string_view value) {
    if (value.size() > kMaxFrameBytes) throw std::length_error("a text is too long for a frame");
    integer(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
  }
  void optional_text(const std::optional<std::string>& value) {
    flag(value.has_value());
    if (value) text(*value);
  }
  void tail(Tag tag, std::string_view value) {
    integer(static_cast<std::uint8_t>(tag));
    text(value);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Reader {
 public:
  Reader(std::string_view frame_name, std::string_view body) : frame_name_(frame_name), rest_(body) {}

  template <std::integral T>
  T integer() {
    const std::string_view bytes = take(sizeof(T));
    std::make_unsigned_t<T> bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const auto byte = static_cast<std::make_unsigned_t<T>>(static_cast<unsigned char>(bytes[i]));
      bits = static_cast<std::make_unsigned_t<T>>(bits | (byte << (8 * i)));
    }
    return static_cast<T>(bits);
  }
  bool flag() { return one_of(1, "flag") == 1; }
  std::string text() {
    const auto size = integer<std::uint32_t>();
    return std::string(take(size));
  }
  std::optional<std::string> optional_text() {
    if (!flag()) return std::nullopt;
    return text();
  }
  // A byte from 0 to `highest`.
  std::uint8_t one_of(std::uint8_t highest, std::string_view what) {
    const auto value = integer<std::uint8_t>();
    if (value > highest) fail(" has " + std::to_string(value) + " as its " + std::string(what));
    return value;
  }
  // Calls take(tag, text) for each piece of the tail. Tags that we do not know are for it to leave alone: a later version may
  // have more of them.
  template <class Take>
  void tail(Take take) {
    while (!rest_.empty()) {
      const auto tag = static_cast<Tag>(integer<std::uint8_t>());
      take(tag, text());
    }
  }
  void expect_end() const {
    if (!rest_.empty()) fail(" has " + std::to_string(rest_.size()) + " bytes too many");
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw ProtocolError("the body of " + std::string(frame_name_) + problem);
  }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) fail(" is too short");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view frame_name_;
  std::string_view rest_;
};

}  // namespace libtask::wire
