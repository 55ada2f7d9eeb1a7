// The bytes of a frame's body, in the version of the protocol that the peer speaks. Internal to frame.cc.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "libtask/wire/frame.h"

namespace libtask::wire {

class Writer {
 public:
  explicit Writer(std::uint16_t version = kProtocolVersion) : version_(version) {}
  // Does the reader know what came with this version?
  bool reaches(std::uint16_t version) const { return version_ >= version; }

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
  template <std::integral T>
  void optional_integer(const std::optional<T>& value) {
    flag(value.has_value());
    if (value) integer(*value);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::uint16_t version_;
  std::string bytes_;
};

class Reader {
 public:
  Reader(std::string_view frame_name, std::string_view body, std::uint16_t version = kProtocolVersion)
      : frame_name_(frame_name), rest_(body), version_(version) {}
  // Does the writer know what came with this version?
  bool reaches(std::uint16_t version) const { return version_ >= version; }

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
  template <std::integral T>
  std::optional<T> optional_integer() {
    if (!flag()) return std::nullopt;
    return integer<T>();
  }
  // A byte from 0 to `highest`.
  std::uint8_t one_of(std::uint8_t highest, std::string_view what) {
    const auto value = integer<std::uint8_t>();
    if (value > highest) fail(" has " + std::to_string(value) + " as its " + std::string(what));
    return value;
  }
  bool is_at_end() const { return rest_.empty(); }
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
  std::uint16_t version_;
};

}  // namespace libtask::wire
