#include "thrown.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <typeinfo>

#include "libtask/task.h"

namespace libtask::detail {
namespace {

constexpr std::size_t kMaxMessageBytes = 8'192;

// std::throw_with_nested throws a type of the library's own around the author's; we name the author's.
std::string without_nesting(std::string type) {
  constexpr std::string_view kWrapper = "std::_Nested_exception<";
  if (!type.starts_with(kWrapper)) return type;
  return type.substr(kWrapper.size(), type.size() - kWrapper.size() - 1);
}

std::string current_type() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  return type != nullptr ? without_nesting(type_name(*type)) : "an exception of another language";
}

void append_causes(std::string& message, const std::exception& error) {
  try {
    std::rethrow_if_nested(error);
  } catch (...) {
    const Thrown cause = describe_current_exception();
    message += "; caused by: " + cause.type + (cause.message.empty() ? "" : ": " + cause.message);
  }
}

}  // namespace

std::string what_of(const std::exception& error) {
  const char* const what = error.what();
  return what != nullptr ? what : "";
}

std::string_view begin_of(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  std::size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

std::string shortened(std::string message) {
  if (message.size() <= kMaxMessageBytes) return message;
  message.resize(begin_of(message, kMaxMessageBytes).size());
  return message + "…";
}

std::string type_name(const std::type_info& type) {
  if (type == typeid(std::string)) return "std::string";
  constexpr std::string_view kAbiTag = "__cxx11::";  // as in std::filesystem::__cxx11::filesystem_error
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 ? demangled.get() : type.name();
  for (std::size_t at = name.find(kAbiTag); at != std::string::npos; at = name.find(kAbiTag, at)) {
    name.erase(at, kAbiTag.size());
  }
  return name;
}

// A std::nested_exception that holds itself cannot be built, so the chain of causes ends.
Thrown describe_current_exception() {
  Thrown thrown{.type = current_type(), .message = ""};
  try {
    throw;
  } catch (const std::exception& error) {
    thrown.message = what_of(error);
    append_causes(thrown.message, error);
  } catch (const std::string& text) {
    thrown.message = text;
  } catch (const char* text) {
    thrown.message = text != nullptr ? text : "";
  } catch (...) {
  }
  thrown.message = shortened(std::move(thrown.message));
  return thrown;
}

}  // namespace libtask::detail
