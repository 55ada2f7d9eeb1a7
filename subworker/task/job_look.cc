#include "subworker/task/job_look.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sys/doing.h"
#include "sys/log.h"
#include "sys/logger.h"
#include "sys/symbolizer.h"

namespace postpone::subworker {

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 1s;  // with a handler that is in the kernel, and will be out of it soon perhaps
constexpr double kMiB = 1024.0 * 1024.0;

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// What a frame is a call of: without the arguments of the function and of templates.
std::string name_of(std::string_view frame) {
  constexpr std::string_view kAnonymous = "(anonymous namespace)";
  std::string name;
  int depth = 0;
  for (std::size_t i = 0; i < frame.size(); ++i) {
    const char c = frame[i];
    if (depth == 0 && frame.substr(i).starts_with(kAnonymous)) {
      i += kAnonymous.size() - 1;
      continue;
    }
    if (depth == 0 && c == '(') break;
    if (c == '<' || c == '{') ++depth;
    if (depth == 0) name += c;
    if ((c == '>' || c == '}') && depth > 0) --depth;
  }
  return name;
}

// How libtask and the standard library call what a program has registered.
bool is_wrapper(const std::string& frame) {
  constexpr std::array<std::string_view, 4> kWords = {"libtask::detail::", "std::__invoke",
                                                      "std::function::", "std::_Function_handler::"};
  const std::string name = name_of(frame);
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

// An optimiser puts the body of a lambda into the wrapper that calls it, and then that is the handler's own
// frame.
bool holds_a_lambda(const std::string& wrapper, const std::string& inner) {
  constexpr std::string_view kLambda = "{lambda(";
  return name_of(wrapper).find("_M_invoke") != std::string::npos &&
         wrapper.find(kLambda) != std::string::npos && inner.find(kLambda) == std::string::npos;
}

void refuse(const sys::Question& question) {
  sys::answer(question, fmt::format("-job {} does not run here any more", question.subject));
}

}  // namespace

// What lies beneath the handler, down to main(), is libtask's and the same in every stack. So is the way in
// which libtask calls the handler.
std::vector<std::string> of_the_handler(std::vector<std::string> stack) {
  const auto beneath = std::find_if(stack.begin(), stack.end(), [](const std::string& frame) {
    return frame.starts_with("libtask::detail::execute(");
  });
  if (beneath == stack.end()) return stack;  // a stripped program has no names
  stack.erase(beneath, stack.end());
  while (stack.size() > 1 && is_wrapper(stack.back()) &&
         !holds_a_lambda(stack.back(), stack[stack.size() - 2]))
    stack.pop_back();
  return stack;
}

bool SlowSchedule::is_due(std::chrono::nanoseconds elapsed) {
  if (next_.count() == 0 || elapsed < next_) return false;
  while (next_ <= elapsed) next_ *= 2;
  return true;
}

JobLook::JobLook(sys::Process& process, std::optional<int> stack_signal, std::int64_t job_id,
                 std::chrono::milliseconds slow_after)
    : process_(process),
      stack_signal_(stack_signal),
      job_id_(job_id),
      schedule_(slow_after),
      cpu_before_(sys::cpu_time_of(process.pid())) {}

JobLook::~JobLook() {
  for (const sys::Question& question : questions_)
    sys::answer(question, fmt::format("-job {} has ended meanwhile", job_id_));
}

void JobLook::tick(std::chrono::nanoseconds elapsed) {
  const bool is_slow = schedule_.is_due(elapsed);
  is_scheduled_ |= is_slow;
  bool due = is_slow;
  if (const auto question = sys::take_question()) {
    if (question->subject == job_id_) {
      questions_.push_back(*question);
      due = true;
    } else {
      refuse(*question);
    }
  }
  if (due && !patience_) begin(elapsed);
  if (patience_ && Clock::now() >= *patience_)
    report(elapsed, process_.pid(), {},
           "its handler does not answer: it blocks signals, or the kernel keeps it");
}

void JobLook::begin(std::chrono::nanoseconds elapsed) {
  if (const std::string why = why_not_to_ask(); !why.empty()) return report(elapsed, process_.pid(), {}, why);
  // Read this before the signal is sent: the signal ends many of the sleeps in which a process may be.
  before_ = sys::doing_of(process_.pid(), process_.pid());
  unanswered_ = true;
  patience_ = Clock::now() + kPatience;
  process_.signal(*stack_signal_);
}

// The signal would end a process that has no handler for it, and would wait in a queue for one that is
// stopped.
std::string JobLook::why_not_to_ask() const {
  if (!stack_signal_ || !sys::catches(process_.pid(), *stack_signal_))
    return "its task executable cannot tell: it was built with an older libtask, or takes that signal itself";
  const char state = sys::doing_of(process_.pid(), process_.pid()).state;
  if (state == 'T' || state == 't') return "a process that is stopped cannot tell";
  if (unanswered_) return "its handler has not answered since it was asked for it before";
  return "";
}

void JobLook::answered(const libtask::wire::Stack& stack, std::chrono::nanoseconds elapsed) {
  if (stack.job_id != job_id_ || !unanswered_) return;  // of the job before, or not asked for
  unanswered_ = false;
  if (!patience_) return;  // too late: the look has ended without it
  const auto frames = of_the_handler(sys::symbolize(process_.pid(), stack.addresses));
  report(elapsed, stack.thread, frames, frames.empty() ? "it cannot be unwound" : "");
}

void JobLook::report(std::chrono::nanoseconds elapsed, pid_t thread, const std::vector<std::string>& stack,
                     const std::string& no_stack) {
  patience_.reset();
  const auto before = std::exchange(before_, std::nullopt);
  const sys::Doing doing =
      before && thread == process_.pid() ? *before : sys::doing_of(process_.pid(), thread);
  const double cpu = seconds(sys::cpu_time_of(process_.pid()) - cpu_before_);
  const std::int64_t rss = sys::resident_bytes(process_.pid());
  const std::string message =
      fmt::format("has run for {:.1f} s, CPU {:.1f} s, memory {:.1f} MiB; process {} {}{}", seconds(elapsed),
                  cpu, static_cast<double>(rss) / kMiB, process_.pid(), sys::to_string(doing),
                  no_stack.empty() ? "; its handler is in" : "; no stack: " + no_stack);
  {
    const sys::LogFields fields({{"event", std::exchange(is_scheduled_, false) ? "slow_job" : "stack"},
                                 {"elapsed_s", seconds(elapsed)},
                                 {"cpu_s", cpu},
                                 {"rss_bytes", rss},
                                 {"task_pid", std::int64_t{process_.pid()}},
                                 {"state", std::string(1, doing.state)},
                                 {"wait_channel", doing.wait_channel},
                                 {"system_call", doing.system_call},
                                 {"stack", stack}});
    sys::log_of(sys::Component::job).warn("{}", message);
  }
  std::string answer = fmt::format("+job {} {}", job_id_, message);
  for (const std::string& frame : stack) answer += "\n    " + frame;
  for (const sys::Question& question : questions_) sys::answer(question, answer);
  questions_.clear();
}

void refuse_questions() {
  if (const auto question = sys::take_question()) refuse(*question);
}

}  // namespace postpone::subworker
