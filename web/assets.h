// The files that pages want of the browser. They are part of the program: nothing is fetched from elsewhere.
#pragma once

#include <string>
#include <string_view>

#include "web/html/html.h"

namespace postpone::web {

struct Asset {
  std::string_view path;
  std::string_view content_type;
  std::string_view content;
};

// Nothing when there is none.
const Asset* find_asset(std::string_view path);

// Its address, which changes when the file does, so that a browser keeps it for ever.
Link asset_link(Literal path);

// The description of the JSON API (docs/openapi.json).
std::string_view openapi();

}  // namespace postpone::web
