// The loop's io_context, for the one other file that speaks Asio: the status server.
#pragma once

#include "supervisor/loop.h"

namespace boost::asio {
class io_context;
}

namespace postpone::supervisor {

boost::asio::io_context& io_context(Loop& loop);

}  // namespace postpone::supervisor
