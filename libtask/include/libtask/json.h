// Typed parameters for handlers, with nlohmann-json (Debian: nlohmann-json3-dev).
//
//   app.task("dishes.wash", [](const std::string& dish, int times) { … }, {"dish", "times"});
//   app.task("dishes.dry",
//            [](libtask::Context& job, const std::string& dish, std::optional<int> seconds) { … },
//            {"dish", "seconds"});
//
// A parameter may be of any type that nlohmann-json reads: bool, integers, floating point, std::string,
// std::vector, std::map, nlohmann::json itself, a type of your own with from_json. The argument of a
// std::optional may be missing or null.
//
// Reading is strict. A job with an argument that is missing, of another type, out of range or not among the
// names ends with BadArguments, whose message names the argument. One exception: a "timestamp" that is not among
// the names is ignored, because jobs of schedules carry it.
//
// An nlohmann::json that is an object converts to libtask::Args, and any nlohmann::json to a value in Args.
#pragma once

#include <libtask/detail/typed_handler.h>
#include <libtask/task.h>

#include <nlohmann/json.hpp>
#include <string>

namespace libtask {

template <>
struct ToJson<nlohmann::json> {
  static std::string text(const nlohmann::json& value) { return value.dump(); }
};

}  // namespace libtask
