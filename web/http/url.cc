#include "web/http/url.h"

#include <algorithm>
#include <charconv>

#include "sys/utf8.h"

namespace postpone::web {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::optional<char> byte_of(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

// The database knows neither NULs nor bytes that are no UTF-8.
bool is_storable(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = sys::utf8_character_at(text, at);
    if (bytes == 0 || text[at] == '\0') return false;
    at += bytes;
  }
  return true;
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4U];
    encoded += kDigits[byte & 0xFU];
  }
  return encoded;
}

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      const auto byte = byte_of(text.substr(at + 1, 2));
      if (!byte) return std::nullopt;
      decoded += *byte;
      at += 2;
    } else {
      decoded += plus_is_space && text[at] == '+' ? ' ' : text[at];
    }
  }
  return decoded;
}

Query Query::parse(std::string_view text) {
  Query query;
  while (!text.empty() && query.pairs_.size() < kMostPairs) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = percent_decoded(pair.substr(0, equals), true);
    auto value = percent_decoded(pair.substr(std::min(pair.size(), equals + 1)), true);
    if (!name || !value || name->empty() || !is_storable(*value)) continue;
    query.pairs_.emplace_back(std::move(*name), std::move(*value));
  }
  return query;
}

std::string Query::get(std::string_view name) const {
  for (const auto& [key, value] : pairs_)
    if (key == name) return value;
  return "";
}

std::optional<std::int64_t> Query::id(std::string_view name) const {
  return parse_id(get(name));
}

std::optional<std::int64_t> parse_id(std::string_view text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 1) return std::nullopt;
  return id;
}

std::optional<Target> parse_target(std::string_view target) {
  if (!target.starts_with('/')) return std::nullopt;
  const std::string_view path = target.substr(0, target.find('?'));
  auto decoded = percent_decoded(path, false);
  if (!decoded || decoded->find('\0') != std::string::npos) return std::nullopt;
  const std::string_view rest = target.substr(std::min(target.size(), path.size() + 1));
  return Target{std::move(*decoded), Query::parse(rest.substr(0, rest.find('#')))};
}

bool is_local_path(std::string_view text) {
  return text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\") &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

}  // namespace postpone::web
