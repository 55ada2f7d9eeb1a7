#include "web/http/hosts.h"

#include <algorithm>
#include <cctype>

namespace postpone::web {
namespace {

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// Without the port, and without the dot that may end a name.
std::string name_in(std::string_view header) {
  if (header.starts_with('[')) {
    const std::size_t end = header.find(']');
    return end == std::string_view::npos ? "" : lowered(header.substr(1, end - 1));
  }
  std::string name = lowered(header.substr(0, header.find(':')));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_loopback(const std::string& name) {
  if (name == "localhost" || name == "::1") return true;
  return name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

Hosts Hosts::loopback_and(std::vector<std::string> names) {
  Hosts hosts;
  for (const std::string& name : names) hosts.names_.push_back(lowered(name));
  return hosts;
}

Hosts Hosts::any() {
  Hosts hosts;
  hosts.any_ = true;
  return hosts;
}

bool Hosts::allow(std::string_view header) const {
  if (any_) return true;
  const std::string name = name_in(header);
  return is_loopback(name) || std::find(names_.begin(), names_.end(), name) != names_.end();
}

}  // namespace postpone::web
