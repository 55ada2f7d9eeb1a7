// Values of several words on the board, without a lock: one writer, any number of readers, none of which ever
// waits.
//
//   writer   version odd ─▶ words ─▶ version even
//   reader   version, words, version again: equal and even, or the value was torn and is read anew
//
// A reader gives up after a few tries: "unknown" is an answer, waiting for a writer that may be stopped is
// none. A writer that is killed half-way leaves the version odd, and the value unknown, until the next
// incarnation writes it. The words are atomics, so that a torn read is a wrong value that is thrown away, and
// never a data race; release and acquire on each of them stand in for the fences of the textbook, which the
// thread sanitizer does not know, and cost nothing on x86.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

namespace postpone::board {

// Zeroed memory is one that holds a zeroed T.
template <class T>
class Guarded {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint64_t) == 0);
  static constexpr std::size_t kWords = sizeof(T) / sizeof(std::uint64_t);
  static constexpr int kTries = 8;

 public:
  // By the one writer. A word costs one store.
  void write(const T& value) noexcept {
    std::array<std::uint64_t, kWords> words;
    std::memcpy(words.data(), &value, sizeof value);
    const std::uint32_t before = version_.load(std::memory_order_relaxed);
    const std::uint32_t writing = before + 1 + (before & 1);  // odd, whatever a dead writer has left
    version_.store(writing, std::memory_order_relaxed);
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    version_.store(writing + 1, std::memory_order_release);
  }

  // By any process, at any time. Nothing when it was being written at each try.
  std::optional<T> read() const noexcept {
    std::array<std::uint64_t, kWords> words;
    for (int i = 0; i < kTries; ++i) {
      const std::uint32_t before = version_.load(std::memory_order_acquire);
      if ((before & 1) != 0) continue;
      for (std::size_t w = 0; w < kWords; ++w) words[w] = words_[w].load(std::memory_order_acquire);
      if (version_.load(std::memory_order_relaxed) != before) continue;
      T value;
      std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
      return value;
    }
    return std::nullopt;
  }

 private:
  std::atomic<std::uint32_t> version_;
  std::atomic<std::uint64_t> words_[kWords];
};

// The latest N values of one writer. A reader remembers how far it has read.
template <class T, std::size_t N>
class Ring {
 public:
  // By the one writer.
  void push(const T& value) noexcept {
    const std::uint64_t number = written_.load(std::memory_order_relaxed);
    entries_[number % N].write({number, value});
    written_.store(number + 1, std::memory_order_release);
  }

  std::uint64_t written() const noexcept { return written_.load(std::memory_order_acquire); }

  // Calls take(value) for each value from number `from` on that is still there, the oldest first. Returns
  // where to go on the next time.
  template <class Take>
  std::uint64_t read_from(std::uint64_t from, Take take) const {
    const std::uint64_t end = written();
    const std::uint64_t oldest = end > N ? end - N : 0;
    for (std::uint64_t number = std::max(from, oldest); number < end; ++number) {
      const auto entry = entries_[number % N].read();
      if (entry && entry->number == number) take(entry->value);  // else it was overwritten meanwhile
    }
    return end;
  }

 private:
  struct Entry {
    std::uint64_t number;
    T value;
  };
  std::atomic<std::uint64_t> written_;
  Guarded<Entry> entries_[N];
};

// A short text within such a value: what does not fit is cut between two characters and ends in "…".
template <std::size_t N>
struct Text {
  static_assert(N % 8 == 0 && N < 65'536);
  std::uint16_t bytes = 0;
  char chars[N - 2] = {};

  Text() = default;
  explicit Text(std::string_view text) noexcept {
    constexpr std::string_view kCut = "…";
    if (text.size() > sizeof chars) {
      std::size_t end = sizeof chars - kCut.size();
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
      std::memcpy(chars, text.data(), end);
      std::memcpy(chars + end, kCut.data(), kCut.size());
      bytes = static_cast<std::uint16_t>(end + kCut.size());
    } else {
      std::memcpy(chars, text.data(), text.size());
      bytes = static_cast<std::uint16_t>(text.size());
    }
  }

  std::string_view view() const noexcept { return {chars, std::min<std::size_t>(bytes, sizeof chars)}; }
};

}  // namespace postpone::board
