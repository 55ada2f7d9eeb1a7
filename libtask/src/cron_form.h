// Whether a cron expression can be one. When it is due is for the housekeeper to compute.
#pragma once

#include <string>
#include <string_view>

namespace libtask::detail {

// Empty when `cron` has five fields (minute, hour, day of month, month, day of week) or six (seconds after
// them), each a list of "*", numbers, names (jan, mon), ranges and steps within the field's bounds, or is
// one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually; else what is wrong with it.
std::string cron_fault(std::string_view cron);

}  // namespace libtask::detail
