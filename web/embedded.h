// The contents of files of the tree, as cmake/EmbedText.cmake has put them into the program.
#pragma once

#include <string_view>

namespace postpone::web::embedded {

std::string_view style_css();
std::string_view ui_js();
std::string_view live_js();
std::string_view icon_svg();
std::string_view openapi_json();

}  // namespace postpone::web::embedded
