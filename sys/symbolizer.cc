#include "sys/symbolizer.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <system_error>

#include "sys/elf_symbols.h"
#include "sys/fd.h"

namespace postpone::sys {

namespace {

constexpr std::size_t kMaxNameBytes = 300;  // names of templates grow beyond what people read

// A line of /proc/PID/maps: "7f12a000-7f12b000 r-xp 00001000 fe:01 4711   /usr/lib/libc.so.6"
struct Mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t file_offset = 0;
  dev_t device = 0;
  ino_t inode = 0;
  std::string path;
};

std::vector<Mapping> mappings_of(pid_t process) {
  std::vector<Mapping> mappings;
  std::string text;
  try {
    text = read_whole_file("/proc/" + std::to_string(process) + "/maps");
  } catch (const std::system_error&) {  // it is gone, or not ours to look into
    return mappings;
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Mapping m;
    unsigned long begin = 0;
    unsigned long end = 0;
    unsigned long offset = 0;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long inode = 0;
    int path_at = 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %lx %x:%x %lu %n", &begin, &end, &offset, &major, &minor,
                    &inode, &path_at) < 6)
      continue;
    m.begin = begin;
    m.end = end;
    m.file_offset = offset;
    m.device = makedev(major, minor);
    m.inode = inode;
    m.path = line.substr(std::min(static_cast<std::size_t>(path_at), line.size()));
    mappings.push_back(std::move(m));
  }
  return mappings;
}

// The file behind a mapping; none when it is another one by now. /proc/PID/exe leads to the program that runs
// even when its name does not any more.
Fd open_module(pid_t process, const Mapping& mapping) {
  for (const std::string& path : {mapping.path, "/proc/" + std::to_string(process) + "/exe"}) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_ino == mapping.inode)
      return file;
  }
  return {};
}

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  std::string shown = status == 0 && text ? text.get() : name;
  if (shown.size() > kMaxNameBytes) shown.replace(kMaxNameBytes, std::string::npos, "...");
  return shown;
}

std::string hex(std::uint64_t number) {
  std::ostringstream text;
  text << "0x" << std::hex << number;
  return text.str();
}

class Symbolizer {
 public:
  explicit Symbolizer(pid_t process) : process_(process), mappings_(mappings_of(process)) {}

  std::string name(std::uint64_t address) {
    const Mapping* mapping = mapping_at(address);
    if (mapping == nullptr || mapping->path.empty()) return hex(address);
    const std::uint64_t file_offset = address - mapping->begin + mapping->file_offset;
    const std::string module = mapping->path.substr(mapping->path.rfind('/') + 1);
    const ElfSymbols& symbols = symbols_of(*mapping);
    const auto in_module = symbols.address_of(file_offset);
    std::string place = module + "+" + hex(in_module.value_or(file_offset));
    const auto symbol = in_module ? symbols.find(*in_module) : std::nullopt;
    if (!symbol) return place;
    return demangled(symbol->name) + "+" + hex(symbol->offset) + " (" + place + ")";
  }

 private:
  const Mapping* mapping_at(std::uint64_t address) const {
    for (const Mapping& mapping : mappings_)
      if (address >= mapping.begin && address < mapping.end) return &mapping;
    return nullptr;
  }

  const ElfSymbols& symbols_of(const Mapping& mapping) {
    const auto key = std::make_pair(mapping.device, mapping.inode);
    const auto known = modules_.find(key);
    if (known != modules_.end()) return known->second;
    return modules_.emplace(key, ElfSymbols(open_module(process_, mapping))).first->second;
  }

  const pid_t process_;
  const std::vector<Mapping> mappings_;
  std::map<std::pair<dev_t, ino_t>, ElfSymbols> modules_;
};

}  // namespace

std::vector<std::string> symbolize(pid_t process, const std::vector<std::uint64_t>& addresses) {
  Symbolizer symbolizer(process);
  std::vector<std::string> names;
  names.reserve(addresses.size());
  for (const std::uint64_t address : addresses) names.push_back(symbolizer.name(address));
  return names;
}

}  // namespace postpone::sys
