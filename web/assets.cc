#include "web/assets.h"

#include <array>
#include <cstdint>

#include "web/embedded.h"

namespace postpone::web {
namespace {

const std::array<Asset, 4>& assets() {
  static const std::array<Asset, 4> all = {
      {{"/assets/style.css", "text/css; charset=utf-8", embedded::style_css()},
       {"/assets/ui.js", "text/javascript; charset=utf-8", embedded::ui_js()},
       {"/assets/live.js", "text/javascript; charset=utf-8", embedded::live_js()},
       {"/assets/icon.svg", "image/svg+xml", embedded::icon_svg()}}};
  return all;
}

// FNV-1a: enough to tell one build's file from another's.
std::uint64_t fingerprint(std::string_view content) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

const Asset* find_asset(std::string_view path) {
  for (const Asset& asset : assets())
    if (asset.path == path) return &asset;
  return nullptr;
}

Link asset_link(Literal path) {
  const Asset* asset = find_asset(path.text());
  return Link(path).with("v", asset == nullptr ? "0" : std::to_string(fingerprint(asset->content)));
}

std::string_view openapi() {
  return embedded::openapi_json();
}

}  // namespace postpone::web
