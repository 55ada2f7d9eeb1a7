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

Desk::Desk(Loop& loop, const config::Config& config, const board::Board& board, std::uint32_t members,
           Source source)
    : config_(config),
      board_(board),
      slots_(members - 1),
      source_(std::move(source)),
      members_(members),
      told_(slots_),
      news_timer_(loop),
      socket_(config.status.socket, config.status.mode, config.status.group),
      server_(
          loop, socket_.fd(),
          [this](std::string_view method, std::string_view target) { return answer(method, target); },
          [this](bool any) { on_followers(any); }) {}

// --- history ---

void Desk::born(std::uint32_t member, std::int64_t pid) {
  if (member >= members_.size()) return;
  members_[member].pid = pid;
  ++members_[member].births;
  if (followed_) server_.publish(member_event(source_.name_of(member), pid, "", unix_now_ns()));
}

void Desk::ready(std::uint32_t member) {
  if (member >= members_.size()) return;
  members_[member].ready = members_[member].was_ready = true;
}

void Desk::ended(std::uint32_t member, bool well, const std::string& how) {
  if (member >= members_.size()) return;
  Member& gone = members_[member];
  if (followed_) server_.publish(member_event(source_.name_of(member), gone.pid, how, unix_now_ns()));
  gone.pid = 0;
  gone.ready = false;
  if (!well) ++gone.crashes;
  gone.last_end = End{board::now_ns(), well, how};
}

// --- answers ---

View Desk::view() {
  look();
  Known known = source_.known();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto [failures, next_start_ns] =
        std::pair(known.members.at(i).failures, known.members[i].next_start_ns);
    known.members[i] = members_[i];
    known.members[i].failures = failures;
    if (members_[i].pid == 0) known.members[i].next_start_ns = next_start_ns;
  }
  View view{collect(board_, config_, known, failures_), {}};
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
  for (std::uint32_t i = 0; i < slots_; ++i) told_[i] = board_.slot(i).telemetry.news.written();
  said_state_.clear();
  news_timer_.set(board::Clock::now(), [this] { report_news(); });
}

void Desk::report_news() {
  std::vector<std::pair<std::int64_t, std::string>> news;  // by time
  const auto now = board::now_ns();
  const auto unix_now = unix_now_ns();
  const Known known = source_.known();
  for (std::uint32_t i = 0; i < slots_; ++i) {
    const std::string& group = config_.groups[known.group_of.at(i)].name;
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
