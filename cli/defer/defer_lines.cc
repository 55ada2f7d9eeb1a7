#include "cli/defer/defer_lines.h"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include <iostream>

#include "cli/connect.h"
#include "cli/defer/arguments.h"
#include "cli/defer/ndjson.h"
#include "cli/screen/progress_line.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

// A batch is one statement. More lines would not be faster, and make the transaction longer.
constexpr std::size_t kBatchLines = 1000;
constexpr std::size_t kBatchBytes = std::size_t{4} << 20U;

// Of standard input, when it is a file; else 0.
std::size_t bytes_to_read() {
  struct stat status {};
  const bool is_file = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
  const off_t position = is_file ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
  return position < 0 || status.st_size <= position ? 0 : static_cast<std::size_t>(status.st_size - position);
}

std::string count(std::size_t number, const char* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

class Deferrer {
 public:
  Deferrer(const Invocation& invocation, sql::JobManager& jobs, const LinesOptions& options)
      : invocation_(invocation), jobs_(jobs), options_(options), all_bytes_(bytes_to_read()) {}

  void run() {
    if (options_.all_or_nothing) jobs_.begin();
    std::string_view line;
    LineReader::Next next{};
    while ((next = lines_.next(line)) == LineReader::Next::line) {
      ++line_;
      if (line_ == 1) line = without_mark(line);
      if (!is_blank(line)) add(line);
      if (batch_.size() >= kBatchLines || batch_bytes_ >= kBatchBytes) store();
    }
    if (next == LineReader::Next::too_long) {
      ++line_;
      refuse(line_, 1, "the line is longer than " + human_size(LineReader::kLongestLine));
    }
    store();
    if (options_.all_or_nothing) commit();
  }

  std::string summary() const {
    std::string text = count(deferred_, "job") + " deferred";
    if (skipped_ > 0) text += ", " + std::to_string(skipped_) + " enqueued already";
    return text;
  }

 private:
  void add(std::string_view line) {
    auto parsed = parse_job_line(line, options_.defaults);
    if (const auto* problem = std::get_if<LineProblem>(&parsed))
      refuse(line_, problem->column, problem->message);
    auto& request = std::get<sql::DeferRequest>(parsed);
    const std::string fault = sql::fault_of(request);
    if (!fault.empty()) refuse(line_, 1, fault);
    if (request.on_conflict != sql::OnConflict::refuse && request.queueing_lock.value_or("").empty())
      refuse(line_, 1, "\"on_conflict\" needs a \"queueing_lock\": without one no job meets another");
    if (options_.ignore_already_enqueued && request.on_conflict != sql::OnConflict::refuse)
      refuse(line_, 1,
             "\"on_conflict\" says what becomes of a job that is enqueued already, and so does "
             "--ignore-already-enqueued: leave one of them out");
    batch_.push_back(std::move(request));
    batch_lines_.push_back(line_);
    batch_bytes_ += line.size();
  }

  void store() {
    try {
      std::vector<sql::JobId> ids =
          options_.ignore_already_enqueued ? jobs_.defer_unless_enqueued(batch_) : jobs_.defer(batch_);
      deferred_ += ids.size();
      skipped_ += batch_.size() - ids.size();
      if (!options_.all_or_nothing) stored_lines_ = line_;
      keep_ids(ids);
    } catch (const sql::AlreadyEnqueued& refusal) {
      if (refusal.queueing_lock().empty()) refuse_one_of_many();
      const std::size_t line = line_of(refusal.queueing_lock());
      if (line == 0) refuse(batch_line_with(refusal.queueing_lock()), 1, refusal.what());
      refuse(line, 1,
             "a job with queueing lock \"" + printable(refusal.queueing_lock()) +
                 "\" waits already; --ignore-already-enqueued passes over such lines");
    } catch (const sql::DatabaseError& error) {
      give_up(error);
    }
    batch_.clear();
    batch_lines_.clear();
    batch_bytes_ = 0;
    const double fraction =
        all_bytes_ == 0 ? -1 : static_cast<double>(lines_.bytes()) / static_cast<double>(all_bytes_);
    progress_.update(fraction, count(deferred_, "job"));
  }

  // With --all-or-nothing the ids are printed when the transaction has ended well: until then no such job
  // exists.
  void keep_ids(const std::vector<sql::JobId>& ids) {
    if (!options_.print_ids) return;
    for (const sql::JobId id : ids) unprinted_ += std::to_string(id) + '\n';
    if (!options_.all_or_nothing) print_ids();
  }

  void print_ids() {
    std::cout << unprinted_ << std::flush;
    unprinted_.clear();
    if (!std::cout) {
      throw Failure(
          ExitCode::not_done,
          "cannot write to standard output: the ids of the last lines that are stored are lost; " + stored());
    }
  }

  void commit() {
    try {
      jobs_.commit();
    } catch (const sql::DatabaseError& error) {
      give_up(error);
    }
    stored_lines_ = line_;
    print_ids();
  }

  // The line of this batch that was refused: of those with this lock that may be, the first one behind another, or the only one. 0 =
  // there is none: a job that was to replace another one could not.
  std::size_t line_of(const std::string& queueing_lock) const {
    std::size_t found = 0;
    bool is_behind_another = false;
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (batch_[i].queueing_lock != queueing_lock) continue;
      if (batch_[i].on_conflict == sql::OnConflict::refuse) {
        found = batch_lines_[i];
        if (is_behind_another) return found;
      }
      is_behind_another = true;
    }
    return found;
  }
  std::size_t batch_line_with(const std::string& queueing_lock) const {
    const auto found = std::ranges::find(batch_, queueing_lock, &sql::DeferRequest::queueing_lock);
    return batch_lines_.at(static_cast<std::size_t>(found - batch_.begin()));
  }

  std::string stored() const {
    if (stored_lines_ == 0) return "nothing is stored";
    return "lines 1 to " + std::to_string(stored_lines_) + " are stored, the rest is not: go on from line " +
           std::to_string(stored_lines_ + 1);
  }

  [[noreturn]] void refuse(std::size_t line, std::size_t column, const std::string& message) const {
    throw Failure(ExitCode::not_done, "line " + std::to_string(line) + ", column " + std::to_string(column) +
                                          ": " + printable(message) + "; " + stored());
  }

  std::string lines_of_batch() const {
    return batch_lines_.empty() ? ""
                                : "lines " + std::to_string(batch_lines_.front()) + " to " +
                                      std::to_string(batch_lines_.back());
  }

  // For a role that may not read queueing locks: the server does not name the lock in its error.
  [[noreturn]] void refuse_one_of_many() const {
    throw Failure(ExitCode::not_done, lines_of_batch() +
                                          ": a job with the queueing lock of one of them waits already; "
                                          "--ignore-already-enqueued passes over such lines; " +
                                          stored());
  }

  // The database refused the batch as a whole, or has gone away.
  [[noreturn]] void give_up(const sql::DatabaseError& error) const {
    const std::string lines = lines_of_batch();
    if (!is_unreachable(error)) {
      const Failure failure = failure_of(invocation_, error);
      const std::string where = lines.empty() ? "" : lines + ": ";
      throw Failure(failure.code(), where + failure.what() + "; " + stored());
    }
    const bool in_doubt = !options_.all_or_nothing || batch_lines_.empty();
    const std::string doubt = options_.all_or_nothing ? "all lines are" : lines + " are";
    throw Failure(
        ExitCode::unreachable,
        std::string(error.what()) + "; " + stored() +
            (in_doubt ? ", and whether " + doubt + " is not known: look with `postpone jobs list`" : ""));
  }

  const Invocation& invocation_;
  sql::JobManager& jobs_;
  const LinesOptions& options_;
  const std::size_t all_bytes_;
  LineReader lines_{STDIN_FILENO};
  ProgressLine progress_;

  std::vector<sql::DeferRequest> batch_;
  std::vector<std::size_t> batch_lines_;  // the line of each
  std::size_t batch_bytes_ = 0;

  std::size_t line_ = 0;          // the number of the line that was read last
  std::size_t stored_lines_ = 0;  // all lines up to this one are committed
  std::size_t deferred_ = 0;
  std::size_t skipped_ = 0;
  std::string unprinted_;  // ids, one a line
};

}  // namespace

ExitCode defer_lines(const Invocation& invocation, const LinesOptions& options) {
  sql::JobManager jobs = connect_to_change(invocation);
  std::string summary;
  {
    Deferrer deferrer(invocation, jobs, options);
    deferrer.run();
    summary = deferrer.summary();
  }
  (options.print_ids ? std::cerr : std::cout) << summary << '\n';
  return ExitCode::done;
}

}  // namespace postpone::cli
