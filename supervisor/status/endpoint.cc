#include "supervisor/status/endpoint.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "supervisor/status/json.h"
#include "sys/logger.h"

namespace postpone::supervisor::status {
namespace {

using namespace std::chrono_literals;

constexpr auto kNewsInterval = 100ms;
constexpr std::int64_t kFreshNs = 50'000'000;  // a page may be so old: what a flood of requests can cost
constexpr std::array<std::string_view, 2> kCostly{"/status", "/metrics"};

// Two judgements are the same event if their texts differ only in digits: seconds count up in some, and
// clients need no event for that.
std::string essence_of(const Judgement& judgement) {
  std::string text = kStateNames.at(static_cast<std::size_t>(judgement.state));
  for (const std::string& reason : judgement.reasons) text += "\n" + reason;
  text += judgement.not_ready.empty() ? "\nready" : "\n" + judgement.not_ready;
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

}  // namespace

Endpoint::Endpoint(Loop& loop, const config::Config& config, const board::Board& board,
                   std::function<SupervisorFacts()> look)
    : config_(config), board_(board), look_(std::move(look)), loop_(loop), news_timer_(loop) {
  open();
}

void Endpoint::open() {
  socket_.emplace(config_.status.socket, config_.status.mode, config_.status.group);
  server_.emplace(
      loop_, socket_->fd(),
      [this](std::string_view method, std::string_view target) { return answer(method, target); },
      Server::Followers{[this](bool any) { on_followers(any); }, [this] { return state_now(); }});
}

void Endpoint::tend(std::uint32_t slots) {
  history_.failures.collect(board_, slots);
  if (server_ && socket_ && socket_->is_there()) return;
  if (board::Clock::now() < next_opening_) return;
  next_opening_ = board::Clock::now() + opening_pause_.next(sys::chance());
  try {
    server_.reset();
    if (followed_) on_followers(false);  // all of them are gone with it
    socket_.reset();
    open();
    sys::log.warn("status socket {}: had been removed, and was made again", config_.status.socket);
    trouble_.clear();
    opening_pause_.reset();
  } catch (const std::exception& error) {
    if (std::exchange(trouble_, error.what()) != trouble_) sys::log.error("{}; trying again", error.what());
  }
}

// --- history ---

Member& Endpoint::history_of(const MemberName& member) {
  if (!member.slot) return history_.housekeeper;
  if (*member.slot >= history_.sub_workers.size()) history_.sub_workers.resize(*member.slot + 1);
  return history_.sub_workers[*member.slot];
}

void Endpoint::on_started(const MemberName& member, pid_t pid) {
  Member& started = history_of(member);
  started.pid = pid;
  ++started.births;
  if (followed_ && server_) server_->publish(member_event(member.name, pid, "", unix_now_ns()));
}

void Endpoint::on_ready(const MemberName& member) {
  Member& ready = history_of(member);
  ready.ready = ready.was_ready = true;
}

void Endpoint::on_ended(const MemberName& member, bool well, const std::string& how) {
  Member& gone = history_of(member);
  if (followed_ && server_) server_->publish(member_event(member.name, gone.pid, how, unix_now_ns()));
  gone.pid = 0;
  gone.ready = false;
  if (!well) ++gone.crashes;
  gone.last_end = End{board::now_ns(), well, how};
}

void Endpoint::on_reassigned(std::uint32_t slot, const std::string& former) {
  Member& gone = history_of({slot, ""});
  add_counts(board_.slot(slot), gone, history_.former[former]);
  gone = {};
}

// --- answers ---

View Endpoint::view(Detail detail) {
  const SupervisorFacts known = look_();
  history_.failures.collect(board_, static_cast<std::uint32_t>(known.slots.size()));
  View view{collect(board_, config_, known, history_, detail), {}};
  view.judgement = judge(view.snapshot);
  return view;
}

Response Endpoint::answer(std::string_view method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  const bool costly = (method == "GET" || method == "HEAD") &&
                      std::find(kCostly.begin(), kCostly.end(), path) != kCostly.end();
  const auto make = [&] {
    return route(method, path, [&] { return view(path == "/readyz" ? Detail::state : Detail::all); });
  };
  if (!costly) return make();
  auto& cached = cached_[std::string(path)];
  const auto now = board::now_ns();
  if (cached.at_ns == 0 || now - cached.at_ns >= kFreshNs) cached = {make(), now};
  return cached.response;
}

// --- events ---

// While no client follows, sub-workers write no news, and what is on the board is old.
void Endpoint::on_followers(bool any) {
  followed_ = any;
  board_.header().news_wanted.store(any ? 1 : 0);
  if (!any) return news_timer_.set(board::Clock::time_point::max(), [] {});
  news_read_.assign(look_().slots.size(), 0);
  for (std::uint32_t i = 0; i < news_read_.size(); ++i)
    news_read_[i] = board_.slot(i).telemetry.news.written();
  news_timer_.set(board::Clock::now(), [this] { report_news(); });
}

void Endpoint::report_news() {
  std::vector<std::pair<std::int64_t, std::string>> news;  // by time
  const auto now = board::now_ns();
  const auto unix_now = unix_now_ns();
  const SupervisorFacts known = look_();
  news_read_.resize(known.slots.size());
  for (std::uint32_t i = 0; i < news_read_.size(); ++i) {
    const std::string& group = known.slots[i].group;
    news_read_[i] = board_.slot(i).telemetry.news.read_from(news_read_[i], [&](const board::News& item) {
      news.emplace_back(item.at_ns, job_event(item, i, group, now, unix_now));
    });
  }
  std::stable_sort(news.begin(), news.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string batch;
  for (const auto& [at, text] : news) batch += text;
  const std::string before = published_state_;
  const std::string state = state_now();
  if (published_state_ != before) batch += state;
  if (!batch.empty() && server_) server_->publish(std::move(batch));
  if (followed_) news_timer_.set(board::Clock::now() + kNewsInterval, [this] { report_news(); });
}

// The event of the present state, which counts as published from now on.
std::string Endpoint::state_now() {
  const Judgement judgement = view(Detail::state).judgement;
  published_state_ = essence_of(judgement);
  return state_event(judgement, unix_now_ns());
}

}  // namespace postpone::supervisor::status
