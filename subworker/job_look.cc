#include "subworker/job_look.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sys/doing.h"
#include "sys/log.h"
#include "sys/symbolizer.h"

namespace postpone::subworker {

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 1s;  // with a handler that is in the kernel, and will be out of it soon perhaps
constexpr double kMiB = 1024.0 * 1024.0;

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

bool is_libtasks(const std::string& frame) {
  constexpr std::array<std::string_view, 4> kWords = {"libtask::detail::", "std::__invoke", "std::function<",
                                                      "std::_Function_handler<"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return frame.find(word) != std::string::npos; });
}

// What lies beneath the handler, down to main(), is libtask's and the same in every stack; so is how it calls
// the handler.
std::vector<std::string> of_the_handler(std::vector<std::string> stack) {
  const auto beneath = std::find_if(stack.begin(), stack.end(), [](const std::string& frame) {
    return frame.starts_with("libtask::detail::execute(");
  });
  if (beneath == stack.end()) return stack;  // a stripped program: nobody can tell
  stack.erase(beneath, stack.end());
  while (stack.size() > 1 && is_libtasks(stack.back())) stack.pop_back();
  return stack;
}

void refuse(const sys::Question& question) {
  sys::answer(question, fmt::format("-job {} does not run here any more", question.subject));
}

}  // namespace

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

void JobLook::tick(std::chrono::nanoseconds elapsed) {
  bool due = schedule_.is_due(elapsed);
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
    tell(elapsed, process_.pid(), {},
         "its handler does not answer: it blocks signals, or the kernel keeps it");
}

void JobLook::begin(std::chrono::nanoseconds elapsed) {
  if (const std::string why = why_not_to_ask(); !why.empty()) return tell(elapsed, process_.pid(), {}, why);
  unanswered_ = true;
  patience_ = Clock::now() + kPatience;
  process_.signal(*stack_signal_);
}

// The signal would end a process that has no handler for it, and would wait in a queue for one that is
// stopped.
std::string JobLook::why_not_to_ask() const {
  if (!stack_signal_ || !sys::catches(process_.pid(), *stack_signal_))
    return "its task executable cannot tell: build it with this version of libtask";
  const char state = sys::doing_of(process_.pid(), process_.pid()).state;
  if (state == 'T' || state == 't') return "a process that is stopped cannot tell";
  if (unanswered_) return "its handler has not answered since it was asked for it before";
  return "";
}

void JobLook::answered(const libtask::wire::Stack& stack, std::chrono::nanoseconds elapsed) {
  if (stack.job_id != job_id_ || !unanswered_) return;  // of the job before, or nobody has asked
  unanswered_ = false;
  const auto frames = of_the_handler(sys::symbolize(process_.pid(), stack.addresses));
  tell(elapsed, stack.thread, frames, frames.empty() ? "it cannot be unwound" : "");
}

void JobLook::tell(std::chrono::nanoseconds elapsed, pid_t thread, const std::vector<std::string>& stack,
                   const std::string& no_stack) {
  patience_.reset();
  const sys::Doing doing = sys::doing_of(process_.pid(), thread);
  const double cpu = seconds(sys::cpu_time_of(process_.pid()) - cpu_before_);
  const std::int64_t rss = sys::resident_bytes(process_.pid());
  const std::string message =
      fmt::format("has run for {:.1f} s, CPU {:.1f} s, memory {:.1f} MiB; process {} {}{}", seconds(elapsed),
                  cpu, static_cast<double>(rss) / kMiB, process_.pid(), sys::to_string(doing),
                  no_stack.empty() ? "; its handler is in" : "; no stack: " + no_stack);
  {
    const sys::LogFields fields({{"event", questions_.empty() ? "slow_job" : "stack"},
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
  std::string told = fmt::format("+job {} {}", job_id_, message);
  for (const std::string& frame : stack) told += "\n    " + frame;
  for (const sys::Question& question : questions_) sys::answer(question, told);
  questions_.clear();
}

void refuse_questions() {
  if (const auto question = sys::take_question()) refuse(*question);
}

}  // namespace postpone::subworker
