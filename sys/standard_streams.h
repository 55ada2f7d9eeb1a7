// Descriptors 0 to 2, and what was written to standard output.
#pragma once

#include <array>
#include <cstddef>
#include <streambuf>

namespace postpone::sys {

// Opens /dev/null in the place of each of the descriptors 0 to 2 that is closed: a socket, a file or an event
// that got such a number would take in what is meant for standard output, and be read for standard input.
// Call it first in main(). Ends the program with status 1 where there is no /dev/null, and says so if it can.
void open_standard_descriptors();

// Standard output for std::cout, which knows why it failed. std::cout writes through it while it lives, and
// what was not written at its end is lost: ask flush() first.
class StandardOutput : public std::streambuf {
 public:
  StandardOutput();
  ~StandardOutput() override;
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  // Writes what is left. The errno of the first write that failed, since the beginning; 0 when all is
  // written.
  int flush();

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  static constexpr std::size_t kBlock = 16'384;
  bool write_out();

  std::streambuf* before_;
  std::array<char, kBlock> block_;
  int error_ = 0;
};

}  // namespace postpone::sys
