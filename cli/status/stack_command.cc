// postpone stack: where the handler of a job is that runs on this host.
//
// The database knows which sub-worker runs the job, by its lease; that one is asked (sys/inquiry.h), looks,
// and answers. What it has seen stands in its log too.
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>

#include "cli/command.h"
#include "cli/jobs/jobs.h"
#include "cli/jobs/stalled.h"
#include "cli/text/text.h"
#include "cli/text/values.h"
#include "sys/doing.h"
#include "sys/fd.h"
#include "sys/host.h"
#include "sys/inquiry.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 5s;  // a sub-worker looks every 50 ms, and waits for the handler for a second
constexpr auto kAskAgain = 1500ms;

[[noreturn]] void refuse(const std::string& why) {
  throw Failure(ExitCode::not_done, why);
}

// Who runs the job, here.
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

// What `ps` shows of a sub-worker of this name. A process that got its pid later shows something else.
bool is_the_process(const sql::Worker& worker) {
  try {
    const std::string title = sys::read_whole_file("/proc/" + std::to_string(worker.pid) + "/cmdline");
    return title.starts_with("postpone: sub-worker " + worker.name + ": ");
  } catch (const std::system_error&) {
    return false;
  }
}

// The pidfd first: what is found out about the pid afterwards is true of the process that is signalled.
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
  // Again and again: it keeps one question at a time, and two people may ask.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (!inquiry.ask(process.get())) refuse_errno(worker);
    if (auto answer = inquiry.answer(worker.pid, kAskAgain)) return *answer;
  }
  refuse(in_words(worker) +
         " does not answer: it hangs, or is in another network namespace, and what it has "
         "seen stands in its log");
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

void add_stack_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "stack", "Show what a job that runs on this host is doing, and where its handler is");
  const auto id = std::make_shared<sql::JobId>(0);
  job_id(command->add_option("ID", *id, "The job")->required()->type_name(""));
  command->final_callback(
      [&invocation, id] { invocation.run = [&invocation, id] { return stack(invocation, *id); }; });
}

}  // namespace postpone::cli
