// What the fragments of C++ in the documents take for granted: the program around them.
#pragma once

#include <libtask/json.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

struct NetworkError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline const std::size_t pages = 3;
inline const std::string who = "ann";
inline const std::string file = "report.pdf";
inline void build_page(std::size_t) {}
