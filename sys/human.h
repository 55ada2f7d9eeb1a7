// Numbers as people read them.
#pragma once

#include <chrono>
#include <string>

namespace postpone::sys {

// "0.4 ms", "850 ms", "3.2 s", "2 min 05 s", "2 h 05 min", "3 d 07 h".
std::string human_duration(std::chrono::duration<double> duration);

}  // namespace postpone::sys
