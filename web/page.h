// What is asked of a page, and what it is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sql/fleet.h"
#include "web/html/html.h"
#include "web/http/url.h"

namespace postpone::web {

enum class Section { overview, jobs, failures, queues, tasks, locks, schedules, workers };

struct Visit {
  const Query& query;
  std::int64_t id = 0;  // of a path that has one
  sql::Fleet& fleet;
};

struct Page {
  Section section = Section::overview;
  std::string title = {};
  Html main = {};  // all between the frame
  std::optional<sql::Reading> reading = std::nullopt;
  int status = 200;
  std::string location = {};  // where the browser is to go instead
};

// Each page, and the same as JSON. Throw sql::DatabaseError.
Page overview_page(const Visit& visit);
Page jobs_page(const Visit& visit);
Page job_page(const Visit& visit);
Page failures_page(const Visit& visit);
Page queues_page(const Visit& visit);
Page tasks_page(const Visit& visit);
Page locks_page(const Visit& visit);
Page schedules_page(const Visit& visit);
Page workers_page(const Visit& visit);

struct Json {
  std::string text;
  int status = 200;
};
Json overview_json(const Visit& visit);
Json jobs_json(const Visit& visit);
Json job_json(const Visit& visit);
Json failures_json(const Visit& visit);
Json queues_json(const Visit& visit);
Json tasks_json(const Visit& visit);
Json locks_json(const Visit& visit);
Json schedules_json(const Visit& visit);
Json workers_json(const Visit& visit);

}  // namespace postpone::web
