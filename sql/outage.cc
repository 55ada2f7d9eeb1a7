#include "sql/outage.h"

#include <algorithm>
#include <cstdio>

namespace postpone::sql {
namespace {

constexpr std::chrono::seconds kFirstSilence{10};
constexpr std::chrono::minutes kLongestSilence{10};
constexpr std::size_t kMostReasons = 8;

std::string so_far(int failures, std::chrono::duration<double> lasted) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f s, %d failed attempt%s", lasted.count(), failures,
                failures == 1 ? "" : "s");
  return text;
}

}  // namespace

std::string Outage::failed(const std::string& reason, Clock::time_point now) {
  if (failures_++ == 0) {
    began_ = now;
    silence_ = kFirstSilence;
    next_word_ = now + silence_;
  }
  if (is_new(reason)) return reason + "; trying again until it goes well";
  if (now < next_word_) return "";
  silence_ = std::min<Clock::duration>(2 * silence_, kLongestSilence);
  next_word_ = now + silence_;
  return reason + "; still trying, after " + so_far(failures_, now - began_);
}

bool Outage::is_new(const std::string& reason) {
  if (said_.size() == kMostReasons || std::find(said_.begin(), said_.end(), reason) != said_.end())
    return false;
  said_.push_back(reason);
  return true;
}

std::string Outage::ended(Clock::time_point now) {
  if (failures_ == 0) return "";
  std::string line = "answers again, after " + so_far(failures_, now - began_);
  failures_ = 0;
  said_.clear();
  return line;
}

}  // namespace postpone::sql
