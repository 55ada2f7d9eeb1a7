// How the functions that an author registers become handlers. For <libtask/task.h> only.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace libtask {

class Context;
using Handler = std::function<void(Context&)>;

namespace detail {

class RunningJob;
struct Registry;
struct Scope;
struct TaskEntry;
struct AppAccess;

// Throws BadArguments when the job has an argument (but "timestamp", which periodic jobs carry).
void expect_no_arguments(const Context& job);

// "std::runtime_error" for typeid(std::runtime_error).
std::string type_name(const std::type_info& type);

// Defined in <libtask/json.h>.
template <class F, std::size_t N>
struct TypedHandler;
template <class F, class... Arguments>
struct DeclaredHandler;

template <class T>
concept Defined = requires {
  sizeof(T);
};

template <class>
inline constexpr bool kNever = false;

template <class F>
Handler untyped(F handler) {
  if constexpr (std::is_invocable_v<F&, Context&>) {
    static_assert(std::is_void_v<std::invoke_result_t<F&, Context&>>,
                  "a handler returns void, and reports a failure by an exception");
    return handler;
  } else if constexpr (std::is_invocable_v<F&>) {
    static_assert(std::is_void_v<std::invoke_result_t<F&>>,
                  "a handler returns void, and reports a failure by an exception");
    return [handler = std::move(handler)](Context& job) mutable {
      expect_no_arguments(job);
      handler();
    };
  } else {
    static_assert(kNever<F>,
                  "a handler takes libtask::Context&, or nothing, or parameters whose names follow it: "
                  "app.task(\"dishes.wash\", handler, {\"dish\", \"times\"})");
  }
}

}  // namespace detail
}  // namespace libtask
