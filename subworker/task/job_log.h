// A line that a handler logs (Context::log in libtask), into the log of this process.
#pragma once

#include <cstddef>

#include "libtask/wire/frame.h"

namespace postpone::subworker {

// Component task, with the level that the handler names, and a field "fields". A text is cut at 8 KiB; more than
// 16 KiB of fields are left out, which the line says; fields that are no JSON stand as a string. REQUIRES: the line is of the job that lines
// name at this moment (sys::LogContext).
void log_for_job(const libtask::wire::Log& line);

// How many bytes of it are logged, if its level is: what is cut or left out does not count. Pure.
std::size_t logged_bytes(const libtask::wire::Log& line);

}  // namespace postpone::subworker
