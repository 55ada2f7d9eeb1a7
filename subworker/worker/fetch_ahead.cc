#include "subworker/worker/fetch_ahead.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

// How much the latest exchange counts.
constexpr double kWeight = 0.2;
// Of the mean: most exchanges take less than that.
constexpr double kLead = 1.25;
// What runs for less than this part of an exchange is not worth one.
constexpr double kLeast = 0.1;
constexpr int kRest = 32;

}  // namespace

void FetchAhead::answered(Nanoseconds took, bool more) {
  // An outage is no exchange.
  const auto ns = static_cast<double>(
      std::clamp<Nanoseconds::rep>(took.count(), 1, std::max<Nanoseconds::rep>(horizon_.count(), 1)));
  exchange_ns_ = exchange_ns_ == 0 ? ns : exchange_ns_ + kWeight * (ns - exchange_ns_);
  more_ = more && rest_ == 0;
  if (rest_ > 0) --rest_;
}

void FetchAhead::went_back() {
  more_ = false;
  rest_ = kRest;
}

FetchAhead::Nanoseconds FetchAhead::lead() const {
  return std::min(Nanoseconds(static_cast<Nanoseconds::rep>(kLead * exchange_ns_)), horizon_ / 2);
}

bool FetchAhead::is_wanted(Nanoseconds run_time) const {
  return more_ && static_cast<double>(run_time.count()) >= kLeast * exchange_ns_;
}

}  // namespace postpone::subworker
