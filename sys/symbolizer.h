// Names for places in the code of another process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace postpone::sys {

// Each as "dishes::wash(int)+0x1b (kitchen-tasks+0x4a1b)": the demangled function and how far in, the program
// or library and the address in it, as addr2line wants it. Without the name where the file is stripped, or
// not the one any more that the process runs; as a bare number where nothing is known. Reads /proc and files,
// and may take some tens of milliseconds with large ones.
std::vector<std::string> symbolize(pid_t process, const std::vector<std::uint64_t>& addresses);

}  // namespace postpone::sys
