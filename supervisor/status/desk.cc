#include "supervisor/status/desk.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "supervisor/status/json.h"

namespace postpone::supervisor::status {
namespace {

using namespace std::chrono_literals;

constexpr auto kNewsInterval = 100ms;
constexpr std::int64_t kFreshNs = 50'000'000;  // a page may be so old: what a flood of requests can cost

std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Desk::Desk(Loop& loop, const config::Config& config, const board::Board& board, std::function<Known()> known)
    : config_(config),
      board_(board),
      known_(std::move(known)),
      news_timer_(loop),
      socket_(config.status.socket, config.status.mode, config.status.group),
      server_(
          loop, socket_.fd(),
          [this](std::string_view method, std::string_view target) { return answer(method, target); },
          [this](bool any) { on_followers(any); }) {}

// --- history ---

Member& Desk::member(const Who& who) {
  if (!who.slot) return history_.housekeeper;
  if (*who.slot >= history_.sub_workers.size()) history_.sub_workers.resize(*who.slot + 1);
  return history_.sub_workers[*who.slot];
}

void Desk::born(const Who& who, std::int64_t pid) {
  member(who).pid = pid;
  ++member(who).births;
  if (followed_) server_.publish(member_event(who.name, pid, "", unix_now_ns()));
}

void Desk::ended(const Who& who, bool well, const std::string& how) {
  Member& gone = member(who);
  if (followed_) server_.publish(member_event(who.name, gone.pid, how, unix_now_ns()));
  gone.pid = 0;
  gone.ready = false;
  if (!well) ++gone.crashes;
  gone.last_end = End{board::now_ns(), well, how};
}

void Desk::reassigned(std::uint32_t slot, const std::string& group) {
  Member& gone = member({slot, ""});
  add_counts(board_.slot(slot), gone, history_.former[group]);
  gone = {};
}

// --- answers ---

View Desk::view() {
  const Known known = known_();
  look(static_cast<std::uint32_t>(known.places.size()));
  View view{collect(board_, config_, known, history_), {}};
  view.judgement = judge(view.snapshot);
  return view;
}

Response Desk::answer(std::string_view method, std::string_view target) {
  Cached* const cached = target == "/status" ? &cached_[0] : target == "/metrics" ? &cached_[1] : nullptr;
  const auto now = board::now_ns();
  const bool fresh = cached != nullptr && cached->at_ns != 0 && now - cached->at_ns < kFreshNs;
  if (fresh && method == "GET") return cached->response;
  Response response = route(method, target, [this] { return view(); });
  if (cached != nullptr && response.status == 200) *cached = {std::string(target), response, now};
  return response;
}

// --- events ---

// While nobody follows, nobody writes news, and what is on the board is old.
void Desk::on_followers(bool any) {
  followed_ = any;
  board_.header().news_wanted.store(any ? 1 : 0);
  if (!any) return news_timer_.set(board::Clock::time_point::max(), [] {});
  told_.assign(known_().places.size(), 0);
  for (std::uint32_t i = 0; i < told_.size(); ++i) told_[i] = board_.slot(i).telemetry.news.written();
  said_state_.clear();
  news_timer_.set(board::Clock::now(), [this] { report_news(); });
}

void Desk::report_news() {
  std::vector<std::pair<std::int64_t, std::string>> news;  // by time
  const auto now = board::now_ns();
  const auto unix_now = unix_now_ns();
  const Known known = known_();
  told_.resize(known.places.size());
  for (std::uint32_t i = 0; i < told_.size(); ++i) {
    const std::string& group = known.places[i].group;
    told_[i] = board_.slot(i).telemetry.news.read_from(told_[i], [&](const board::News& item) {
      news.emplace_back(item.at_ns, job_event(item, i, group, now, unix_now));
    });
  }
  std::stable_sort(news.begin(), news.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [at, text] : news) server_.publish(std::move(text));
  const Judgement judgement = view().judgement;
  // Not the reasons themselves, which count seconds.
  const std::string state = kStateNames.at(static_cast<std::size_t>(judgement.state)) +
                            std::to_string(judgement.reasons.size()) +
                            (judgement.not_ready.empty() ? "+" : "-");
  if (std::exchange(said_state_, state) != state) server_.publish(state_event(judgement, unix_now));
  if (followed_) news_timer_.set(board::Clock::now() + kNewsInterval, [this] { report_news(); });
}

}  // namespace postpone::supervisor::status
