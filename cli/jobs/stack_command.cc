// postpone stack: the state of a job that runs on this host, and the stack of its handler.
//
// The job's lease in the database names the sub-worker that runs it. This command asks that sub-worker
// (sys/inquiry.h), which looks at its task process, answers, and writes the same into its log.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>

#include "cli/connect.h"
#include "cli/jobs/selection.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/text/text.h"
#include "sys/doing.h"
#include "sys/fd.h"
#include "sys/host.h"
#include "sys/inquiry.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;

// A sub-worker looks for questions every 50 ms, and waits one second for the handler's stack.
constexpr auto kPatience = 5s;
constexpr auto kAskAgain = 1500ms;

[[noreturn]] void refuse(const std::string& why) {
  throw Failure(ExitCode::not_done, why);
}

// The worker that runs the job, if it does so on this host.
sql::Worker worker_of(sql::JobManager& jobs, sql::JobId id) {
  const std::string name = "job " + std::to_string(id);
  const auto job = find(jobs, id);
  if (!job) refuse("there is no " + name);
  if (job->status != sql::JobStatus::doing) refuse(not_running(*job));
  const auto worker = job->worker_id ? jobs.worker(*job->worker_id) : std::nullopt;
  if (!worker) refuse(name + " has no worker any more: see `postpone stalled list`");
  if (worker->name.empty()) {
    refuse(name + " is run by worker " + std::to_string(worker->id) +
           ", which is not one of Postpone's, and cannot be asked");
  }
  if (worker->host != sys::host_name()) {
    refuse(name + " runs on host " + printable(worker->host) + " (sub-worker " + printable(worker->name) +
           ", pid " + std::to_string(worker->pid) + "), and this is " + sys::host_name() +
           ": run the command there");
  }
  return *worker;
}

// "sub-worker kitchen/3 (pid 4711)"
std::string in_words(const sql::Worker& worker) {
  return "sub-worker " + printable(worker.name) + " (pid " + std::to_string(worker.pid) + ")";
}

// Whether the process shows the title of this sub-worker in `ps`. Another process that has taken over the pid
// shows something else.
bool is_the_process(const sql::Worker& worker) {
  try {
    const std::string title = sys::read_whole_file("/proc/" + std::to_string(worker.pid) + "/cmdline");
    return title.starts_with("postpone: sub-worker " + worker.name + ": ");
  } catch (const std::system_error&) {
    return false;
  }
}

// Opens the pidfd first: what the checks behind it find out about the pid is then true of the process that
// the signal reaches.
sys::Fd open_process(const sql::Worker& worker) {
  sys::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, worker.pid, 0)));
  if (!process || !is_the_process(worker)) {
    refuse(in_words(worker) +
           " does not run here any more, or in a container that this command does not see into");
  }
  if (!sys::catches(worker.pid, SIGUSR2))
    refuse(in_words(worker) + " cannot be asked: it is of an older version");
  return process;
}

[[noreturn]] void refuse_errno(const sql::Worker& worker) {
  if (errno == EPERM)
    refuse("no permission to ask " + in_words(worker) +
           ": run the command as the user of the supervisor, or as root");
  if (errno == ESRCH) refuse(in_words(worker) + " has ended");
  refuse("cannot ask " + in_words(worker) + ": " + std::strerror(errno));
}

std::string ask(const sql::Worker& worker, sql::JobId id) {
  const sys::Fd process = open_process(worker);
  const sys::Inquiry inquiry(id);
  // Asks again and again, because a sub-worker keeps one question at a time, and two people may ask.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (!inquiry.ask(process.get())) refuse_errno(worker);
    if (auto answer = inquiry.answer(worker.pid, kAskAgain)) return *answer;
  }
  refuse(in_words(worker) +
         " does not answer: it hangs, or it is in another network namespace, and then its log has "
         "the answer");
}

ExitCode stack(const Invocation& invocation, sql::JobId id) {
  std::string answer;
  {
    sql::JobManager jobs = connect(invocation);
    answer = ask(worker_of(jobs, id), id);
  }
  if (!answer.starts_with('+')) refuse(printable(answer.substr(1)));
  std::istringstream lines(answer.substr(1));
  for (std::string line; std::getline(lines, line);) std::cout << printable(line) << '\n';
  return ExitCode::done;
}

}  // namespace

void add_stack_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand(
      "stack", "Show what a job that runs on this host is doing, and where its handler is");
  const auto id = std::make_shared<sql::JobId>(0);
  job_id(command->add_option("ID", *id, "The job")->required()->type_name(""));
  command->final_callback(
      [&invocation, id] { invocation.run = [&invocation, id] { return stack(invocation, *id); }; });
}

}  // namespace postpone::cli
