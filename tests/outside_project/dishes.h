// What those who run the task and those who defer it share.
#pragma once

#include <libtask/declare.h>

#include <string>

inline constexpr auto wash =
    libtask::declare<std::string, int>("dishes.wash", "dish", "times").queue("kitchen");
