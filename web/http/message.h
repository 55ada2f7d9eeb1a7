// A request that may be answered, and its answer, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "web/http/url.h"

namespace postpone::web {

struct Request {
  bool head_only = false;  // HEAD; else GET
  std::string path;        // decoded
  Query query;
  std::string target;  // as it came
  std::string theme;   // of the cookie: light, dark; empty = as the system
};

struct Response {
  int status = 200;
  std::string content_type = "text/html; charset=utf-8";
  std::string body;
  bool is_immutable = false;  // a file whose address changes when it does
  std::string location = {};  // with 303
  std::string set_cookie = {};
  std::string allow = {};   // with 405
  std::string follow = {};  // an endless answer: the changes of this page, from now on
};

// An answer that says in one line what was wrong.
Response refusal(int status, std::string_view why);

// The value of a cookie named so in a Cookie header; empty when there is none.
std::string cookie_of(std::string_view header, std::string_view name);

}  // namespace postpone::web
