// The names of functions in a program or library, as its symbol table has them. Inside this room only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/fd.h"

namespace postpone::sys {

class ElfSymbols {
 public:
  // Reads the tables of a file of this machine's kind. The file is not ours and may hold anything: what is
  // not understood has no names, and a file that is overwritten meanwhile gives wrong names at worst.
  explicit ElfSymbols(const Fd& file);

  // Where a byte of the file is in the memory that its symbols speak of; nothing outside of what is loaded.
  std::optional<std::uint64_t> address_of(std::uint64_t file_offset) const;

  struct Symbol {
    std::string name;  // mangled
    std::uint64_t offset = 0;
  };
  // The function at that address, and how far in.
  std::optional<Symbol> find(std::uint64_t address) const;

 private:
  struct Segment {
    std::uint64_t file_offset;
    std::uint64_t file_bytes;
    std::uint64_t address;
  };
  struct Function {
    std::uint64_t address;
    std::uint64_t bytes;
    std::uint32_t name;  // where in names_
  };

  std::vector<Segment> segments_;
  std::vector<Function> functions_;
  std::string names_;
};

}  // namespace postpone::sys
