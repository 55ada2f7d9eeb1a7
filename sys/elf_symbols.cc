#include "sys/elf_symbols.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postpone::sys {

namespace {

constexpr std::uint64_t kMaxTableBytes = 256ULL << 20;  // of a table that is still read

// Exactly so many bytes of a file; empty when there are fewer, or too many to be asked for.
std::string read_at(const Fd& file, std::uint64_t offset, std::uint64_t bytes) {
  if (bytes > kMaxTableBytes || offset > static_cast<std::uint64_t>(INT64_MAX) - kMaxTableBytes) return {};
  std::string text(bytes, '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n =
        ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    done += static_cast<std::size_t>(n);
  }
  return text;
}

// A table of records of one kind. What is cut off at its end is left out.
template <class Record>
std::vector<Record> records_in(const std::string& bytes) {
  std::vector<Record> records(bytes.size() / sizeof(Record));
  if (!records.empty()) std::memcpy(records.data(), bytes.data(), records.size() * sizeof(Record));
  return records;
}

bool is_function(const ElfW(Sym) & symbol) {
  constexpr unsigned kTypeMask = 0xf;
  const unsigned type = symbol.st_info & kTypeMask;
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF;
}

bool is_of_this_machine(const ElfW(Ehdr) & header) {
  constexpr auto kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  constexpr auto kOrder = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == kClass &&
         header.e_ident[EI_DATA] == kOrder && header.e_phentsize == sizeof(ElfW(Phdr)) &&
         (header.e_shnum == 0 || header.e_shentsize == sizeof(ElfW(Shdr)));
}

}  // namespace

ElfSymbols::ElfSymbols(const Fd& file) {
  const auto headers = records_in<ElfW(Ehdr)>(read_at(file, 0, sizeof(ElfW(Ehdr))));
  if (headers.empty() || !is_of_this_machine(headers.front())) return;
  const ElfW(Ehdr)& header = headers.front();

  for (const auto& segment :
       records_in<ElfW(Phdr)>(read_at(file, header.e_phoff, header.e_phnum * sizeof(ElfW(Phdr))))) {
    if (segment.p_type == PT_LOAD) segments_.push_back({segment.p_offset, segment.p_filesz, segment.p_vaddr});
  }

  // The full table where the program is not stripped of it, else what it offers to others.
  const auto sections =
      records_in<ElfW(Shdr)>(read_at(file, header.e_shoff, header.e_shnum * sizeof(ElfW(Shdr))));
  for (const auto kind : {SHT_SYMTAB, SHT_DYNSYM}) {
    for (const auto& section : sections) {
      if (section.sh_type != static_cast<ElfW(Word)>(kind) || section.sh_link >= sections.size()) continue;
      const auto& names = sections[section.sh_link];
      names_ = read_at(file, names.sh_offset, names.sh_size);
      for (const auto& symbol : records_in<ElfW(Sym)>(read_at(file, section.sh_offset, section.sh_size)))
        if (is_function(symbol)) functions_.push_back({symbol.st_value, symbol.st_size, symbol.st_name});
      if (!functions_.empty()) return;
    }
  }
}

std::optional<std::uint64_t> ElfSymbols::address_of(std::uint64_t file_offset) const {
  for (const Segment& segment : segments_) {
    if (file_offset >= segment.file_offset && file_offset - segment.file_offset < segment.file_bytes)
      return file_offset - segment.file_offset + segment.address;
  }
  return std::nullopt;
}

std::optional<ElfSymbols::Symbol> ElfSymbols::find(std::uint64_t address) const {
  for (const Function& function : functions_) {
    if (address < function.address || address - function.address >= function.bytes) continue;
    if (function.name >= names_.size()) return std::nullopt;
    return Symbol{names_.c_str() + function.name, address - function.address};
  }
  return std::nullopt;
}

}  // namespace postpone::sys
