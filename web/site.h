// Which request gets which answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "web/database.h"
#include "web/http/live.h"
#include "web/http/message.h"
#include "web/page.h"

namespace postpone::web {

// A page, and the same as JSON. {id} stands for a number.
struct Route {
  std::string_view path;       // "/jobs/{id}"
  std::string_view json_path;  // "/api/jobs/{id}"
  Page (*page)(const Visit&);
  Json (*json)(const Visit&);
};
const std::vector<Route>& routes();

// What a path leads to; nothing when it leads nowhere.
struct Found {
  const Route* route = nullptr;
  bool is_json = false;
  std::int64_t id = 0;
};
std::optional<Found> find_route(std::string_view path);

// What is answered without the database: files, the theme, the description of the API, and what there is not.
std::optional<Response> answer_at_once(const Request& request);
// The rest.
Response answer_from(Database& database, const Request& request);
// The page of that address, for those who follow it.
LivePage live_page_from(Database& database, const std::string& target);

// When too many wait for the database already.
Response busy_answer(const Request& request);

}  // namespace postpone::web
