// Which libtask this is, for programs that build with more than one: #if LIBTASK_VERSION >= 200.
#pragma once

#define LIBTASK_VERSION_MAJOR 0
#define LIBTASK_VERSION_MINOR 1
#define LIBTASK_VERSION_PATCH 0

// A number that grows with each release: 10000 times the major version, and 100 times the minor one.
#define LIBTASK_VERSION (LIBTASK_VERSION_MAJOR * 10000 + LIBTASK_VERSION_MINOR * 100 + LIBTASK_VERSION_PATCH)
