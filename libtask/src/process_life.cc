#include "process_life.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "thrown.h"

namespace libtask::detail {
namespace {

bool did(const char* what, const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (...) {
    const Thrown thrown = describe_current_exception();
    std::fprintf(stderr, "libtask: %s has failed: %s%s%s\n", what, thrown.type.c_str(),
                 thrown.message.empty() ? "" : ": ", thrown.message.c_str());
    return false;
  }
}

}  // namespace

bool set_up(const Registry& registry) {
  return std::all_of(registry.set_up.begin(), registry.set_up.end(),
                     [](const auto& action) { return did("the set-up of the task process", action); });
}

bool tear_down(const Registry& registry) {
  bool all = true;
  for (auto action = registry.tear_down.rbegin(); action != registry.tear_down.rend(); ++action)
    all = did("the tear-down of the task process", *action) && all;
  return all;
}

}  // namespace libtask::detail
