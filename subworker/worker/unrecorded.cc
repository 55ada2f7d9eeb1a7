#include "subworker/worker/unrecorded.h"

#include <algorithm>
#include <utility>

namespace postpone::subworker {
namespace {

std::string in_ascii(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c >= 0x80 || (c < 0x20 && c != '\n' && c != '\t'); }, '?');
  return text;
}

sql::Outcome in_plain_form(sql::Outcome outcome) {
  outcome.exception_type = in_ascii(std::move(outcome.exception_type));
  outcome.message = in_ascii(std::move(outcome.message));
  outcome.stderr_tail = in_ascii(std::move(outcome.stderr_tail));
  outcome.progress.reset();
  outcome.delete_job = false;
  return outcome;
}

sql::Outcome failed_for(const sql::Outcome& outcome, const std::string& why) {
  sql::Outcome failed;
  failed.job_id = outcome.job_id;
  failed.attempt = outcome.attempt;
  failed.action = sql::Action::fail;
  failed.cause = sql::Cause::exception;
  failed.message = "the database refused what the job asked for: " + in_ascii(why);
  failed.run_time = outcome.run_time;
  failed.cpu_time = outcome.cpu_time;
  failed.max_rss_bytes = outcome.max_rss_bytes;
  return failed;
}

}  // namespace

Unrecorded::Unrecorded(sql::Outcome outcome)
    : outcome_(std::move(outcome)),
      sent_{.job_id = outcome_.job_id,
            .success = sql::as_success(outcome_),
            .text = {},
            .releases = outcome_.action == sql::Action::release,
            .why = {}} {
  if (!sent_.success) sent_.text = sql::to_json(outcome_);
}

bool Unrecorded::asks_for_something() const {
  const bool retries = outcome_.action == sql::Action::retry;
  return retries ||
         (outcome_.action == sql::Action::succeed && (!outcome_.defers.empty() || outcome_.result));
}

void Unrecorded::lower(const std::string& why) {
  const std::string before = sent_.as_text();
  if (form_ == Form::as_decided) {
    take(Form::plain, why);
    if (sent_.text != before) return;
  }
  take(form_ == Form::plain && asks_for_something() ? Form::failed : Form::left_to_people, why);
}

void Unrecorded::take(Form form, const std::string& why) {
  form_ = form;
  sent_.success.reset();
  if (form == Form::plain) outcome_ = in_plain_form(std::move(outcome_));
  if (form == Form::failed) outcome_ = failed_for(outcome_, why);
  sent_.text = sql::to_json(outcome_);
  sent_.left_to_people = form == Form::left_to_people;
  sent_.why = why;
}

}  // namespace postpone::subworker
