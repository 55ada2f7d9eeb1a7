// What `ps` shows. The memory of argv (and of the environment behind it, copied away first) is overwritten in
// place, as PostgreSQL and nginx do.
#pragma once

#include <string_view>

namespace postpone::sys {

// REQUIRES: called once, first thing in main(), while the process has one thread.
void init_process_title(int argc, char** argv);

// Shows "postpone: <title>". Cut to the room there is; does nothing before init_process_title(). Allocates
// nothing.
void set_process_title(std::string_view title);

}  // namespace postpone::sys
