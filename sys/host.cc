#include "sys/host.h"

#include <sys/utsname.h>

namespace postpone::sys {

std::string host_name() {
  utsname names{};
  return ::uname(&names) == 0 && names.nodename[0] != '\0' ? names.nodename : "unknown";
}

}  // namespace postpone::sys
