// Defers jobs from any program, and looks after them. Link postpone::client; it needs libpq.
//
//   libtask::Client client("dbname=shop");
//   client.defer("mail.send", {{"to", "ann"}}, {.queue = "mail", .schedule_in = 5min});
//   client.defer(wash("plate", 2));                    // a declared task, see <libtask/declare.h>
//
//   libtask::Client(connection).defer(…);              // in the transaction that is open on your PGconn*
//
// Arguments are {{"to", who}} (see <libtask/args.h>), JSON text by Args::from_text(), or an nlohmann::json with
// <libtask/json.h>. A client finds the tables by the search_path of its connection.
//
// Errors are exceptions: DatabaseError and what derives from it; std::invalid_argument for a job that no
// database would take (a name without characters or with more than 128, a lock of more than 2000 bytes,
// text that is not UTF-8), with which nothing is sent.
#pragma once

#include <libtask/args.h>
#include <libtask/declare.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct pg_conn;  // libpq's PGconn

namespace libtask {

// What the database refused. Nothing of the call has happened.
class DatabaseError : public std::runtime_error {
 public:
  DatabaseError(const std::string& message, std::string sqlstate)
      : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}
  const std::string& sqlstate() const noexcept {
    return sqlstate_;
  }  // empty: libpq's error, not the server's

 private:
  std::string sqlstate_;
};

// A job waits under this queueing lock, and the new one said OnConflict::refuse (or `replace`, and the other is
// of another task). Nothing of the call has happened.
class AlreadyEnqueued : public DatabaseError {
 public:
  AlreadyEnqueued(const std::string& message, std::string queueing_lock)
      : DatabaseError(message, "23505"), queueing_lock_(std::move(queueing_lock)) {}
  const std::string& queueing_lock() const noexcept { return queueing_lock_; }  // empty when it is not known

 private:
  std::string queueing_lock_;
};

// The connection was lost, or could not be made. When it was lost in the middle of a call, the call may have
// happened all the same (is_in_doubt), unless it was part of your transaction, which is gone, or the database had not
// been asked yet for what would make it count.
class ConnectionLost : public DatabaseError {
 public:
  ConnectionLost(const std::string& message, bool is_in_doubt)
      : DatabaseError(message, ""), is_in_doubt_(is_in_doubt) {}
  bool is_in_doubt() const noexcept { return is_in_doubt_; }

 private:
  bool is_in_doubt_;
};

enum class Disposition {
  created,
  kept,      // a job waited under the queueing lock, and stands for the new one
  replaced,  // a job waited under the queueing lock, and has got what the new one brought
};

struct Deferred {
  std::int64_t id = 0;  // of the job that will run
  Disposition disposition = Disposition::created;
};

enum class JobStatus { todo, doing, succeeded, failed, cancelled, aborted };
std::string_view to_string(
    JobStatus status);  // "succeeded": as the database and `postpone jobs show` name it

struct JobState {
  JobStatus status = JobStatus::todo;
  std::string task;
  std::string queue;
  int attempts = 0;  // that have ended
  bool abort_requested = false;
  std::string progress;  // as its handler told it, "3 of 10: pages"; empty = it has not
};

// How far defer_many() is. `sent` and `stored` count jobs; none of them exists before the call has returned.
struct DeferProgress {
  std::size_t sent = 0;
  std::size_t stored = 0;
  std::size_t total = 0;
};
using DeferCallback = std::function<void(const DeferProgress&)>;

// Thread safety: any number of threads may use one Client, their calls wait for each other. What is over your own
// connection uses that without a lock that you could know of: use the connection elsewhere, and in a second
// Client, only while no call is under way.
//
// After fork() the child must use none of its parent's clients, nor destroy one: that would end the parent's
// session.
class Client {
 public:
  // Connects. `conninfo` is a connection string of libpq, "" = what the PG* variables say. A connection that was
  // lost is made again by the next call. Each call is a transaction of its own. Throws ConnectionLost.
  explicit Client(const std::string& conninfo);
  // The same, with POSTPONE_DATABASE_URL, as the command `postpone` does; where that is not set, with "".
  Client();

  // Over your connection, which stays yours and must outlive the Client; its client_encoding is UTF8.
  //
  // While a transaction is open on it, each call is part of it: a job exists, and workers hear of it, when you
  // commit. Each call stands in a savepoint of its own. So when it throws, your transaction goes on as if
  // the call had never been made; except with ConnectionLost, and when it had failed before
  // (DatabaseError 25P02). Without an open transaction each call is one of its own.
  explicit Client(pg_conn* connection);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Creates a job. Throws AlreadyEnqueued.
  Deferred defer(const NewJob& job);
  Deferred defer(std::string_view task, Args args = {}, JobOptions options = {}) {
    return defer(NewJob(task, std::move(args), std::move(options)));
  }

  // Creates all jobs or none; the answer is in their order. Throws AlreadyEnqueued. Of several with one queueing
  // lock among them the first is created, and the last one that replaces counts.
  //
  // Up to 100,000 jobs of 64 MiB are one statement. More go by COPY into a temporary table first, which
  // takes the privilege TEMPORARY on the database, as everybody has unless it was revoked; a transaction
  // with that cannot be prepared (PREPARE TRANSACTION). `on_progress` is called from time to time; what it
  // throws ends the call, and nothing is created. It must not use this Client, which waits for the call to end.
  std::vector<Deferred> defer_many(const std::vector<NewJob>& jobs, const DeferCallback& on_progress = {});

  // Ends a job that waits. False when it does not wait.
  bool cancel(std::int64_t job_id);
  // Cancels a job that waits, and asks one that runs to stop. False when it does neither.
  bool abort(std::int64_t job_id);
  // Makes a job that ended without success wait again. False when another job waits under its queueing lock
  // instead. Throws DatabaseError when there is no such job, or it waits, runs or has succeeded.
  bool retry(std::int64_t job_id);

  // Nothing when there is no such job (any more).
  std::optional<JobState> status(std::int64_t job_id);

  // What the handler of a job that has succeeded gave to Context::result(), as JSON text. Nothing when it gave
  // nothing, when the job has not succeeded (yet), and when there is no such job (any more): status() knows.
  std::optional<std::string> result(std::int64_t job_id);

  // Returns when the job has ended, and how; with nothing when it has not within `timeout`, or is not there (any
  // more). It asks again and again, first after 5 ms and at last every 250 ms, since the database sends no
  // notification when a job ends; other threads' calls come between. Throws std::logic_error while a
  // transaction is open: a job of it would never run.
  std::optional<JobStatus> wait_for(std::int64_t job_id, std::chrono::milliseconds timeout);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace libtask
