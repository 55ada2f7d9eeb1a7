// An outcome on its way into the database, and what is tried when the database refuses it. Pure.
//
//   as_decided ─▶ plain ─▶ failed ─▶ left_to_people
//
// plain           what only decorates it (message, type, stderr) in ASCII, and the row stays: neither may
// decide whether
//                 the outcome is recorded
// failed          what the job asked for along with it (jobs to defer, another queue) is what the database
// refuses: the
//                 job fails with the database's words. Only for an outcome that asks for something.
// left_to_people  the database refuses it in every form, as a trigger that always raises does. The job stays
// in `doing`
//                 and keeps its lock, its lease ends, and the sub-worker goes on.
#pragma once

#include <string>

#include "sql/job.h"
#include "subworker/worker/session.h"

namespace postpone::subworker {

class Unrecorded {
 public:
  // REQUIRES: sql::to_json() takes it.
  explicit Unrecorded(sql::Outcome outcome);

  const sql::Outcome& outcome() const { return outcome_; }  // in its present form
  const KeptOutcome& kept() const { return kept_; }

  // The database refuses the present form: takes the next one. REQUIRES: it is not left to people yet.
  void lower(const std::string& why);

 private:
  enum class Form { as_decided, plain, failed, left_to_people };

  bool asks_for_something() const;
  void take(Form form, const std::string& why);

  sql::Outcome outcome_;
  KeptOutcome kept_;
  Form form_ = Form::as_decided;
};

}  // namespace postpone::subworker
