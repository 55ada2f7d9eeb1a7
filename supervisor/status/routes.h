// Which request gets which answer. Pure, but for the snapshot that it asks for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "supervisor/status/judge.h"
#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow = {};  // with 405: what would have been right
  bool follow = false;     // an endless answer: the events, from now on
};

// An answer that says in one line what was wrong.
Response refusal(int status, std::string_view why);

struct View {
  Snapshot snapshot;
  Judgement judgement;
};

// `method` and `target` as the request has them; a query is ignored. `look` is called when the answer needs
// it.
Response route(std::string_view method, std::string_view target, const std::function<View()>& look);

}  // namespace postpone::supervisor::status
