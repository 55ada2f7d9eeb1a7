// An outcome on its way into the database, and what is sent instead when the database refuses it. Pure.
//
//   as_decided ─▶ plain ─▶ failed ─▶ left_to_people
//
//   plain           What only decorates the outcome (message, type, stderr) in ASCII, no progress, which another table keeps,
//                   and the row is not deleted: none of these may decide whether the outcome is recorded.
//   failed          What the job asked for along with it (jobs to defer, a result to be kept, another queue) may be what the
//                   database refuses, so the job fails, with the database's words. Only for an outcome that
//                   asks for something.
//   left_to_people  The database refuses it in every form, as a trigger does that always raises. The job
//                   stays in `doing` and keeps its lock, its lease ends, and the sub-worker goes on.
#pragma once

#include <optional>
#include <string>

#include "sql/job.h"

namespace postpone::subworker {

// An outcome as the session sends it.
struct SentOutcome {
  sql::JobId job_id = 0;
  std::optional<sql::Success> success = std::nullopt;  // what it is, or, when it is more than that,
  std::string text;                                    // its sql::to_json()
  bool releases = false;                               // Action::release
  // The database refuses it in every form: its lease ends, and the job stays in `doing` for people to decide.
  bool left_to_people = false;
  std::string why;  // then: the database's words

  std::string as_text() const { return success ? sql::to_json(*success) : text; }
};

class Unrecorded {
 public:
  // REQUIRES: sql::to_json() takes it.
  explicit Unrecorded(sql::Outcome outcome);

  // Both in the present form.
  const sql::Outcome& outcome() const { return outcome_; }
  const SentOutcome& sent() const { return sent_; }

  // The database refuses the present form: takes the next one. REQUIRES: it is not left to people yet.
  void lower(const std::string& why);

 private:
  enum class Form { as_decided, plain, failed, left_to_people };

  bool asks_for_something() const;
  void take(Form form, const std::string& why);

  sql::Outcome outcome_;
  SentOutcome sent_;
  Form form_ = Form::as_decided;
};

}  // namespace postpone::subworker
