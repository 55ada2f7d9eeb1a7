// Whether what a handler threw is of a type, or has an exception of that type nested in it.
#pragma once

#include <exception>

namespace libtask::detail {

template <class Exception>
bool is_a(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Exception&) {
    return true;
  } catch (const std::nested_exception& outer) {
    return outer.nested_ptr() && is_a<Exception>(outer.nested_ptr());
  } catch (...) {
    return false;
  }
}

}  // namespace libtask::detail
