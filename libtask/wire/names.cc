#include "libtask/wire/names.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace libtask::wire {
namespace {

constexpr std::size_t kShown = 3;
constexpr std::size_t kCompared = 128;  // as long as the name of a task may be

// How many letters have to be put in, left out or changed to make one name of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kCompared);
  b = b.substr(0, kCompared);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_tasks(std::string_view wanted, const std::vector<std::string_view>& names) {
  if (names.empty()) return "it has none";
  std::vector<std::pair<std::size_t, std::string_view>> by_distance;
  by_distance.reserve(names.size());
  for (const std::string_view name : names)
    by_distance.emplace_back(names.size() > kShown ? distance(wanted, name) : 0, name);
  std::stable_sort(by_distance.begin(), by_distance.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string list;
  for (std::size_t i = 0; i < std::min(kShown, by_distance.size()); ++i)
    list.append(list.empty() ? "" : ", ").append(by_distance[i].second);
  if (names.size() <= kShown) return "it has: " + list;
  return "of its " + std::to_string(names.size()) + " tasks these are the nearest: " + list;
}

}  // namespace libtask::wire
