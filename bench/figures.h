// What all benchmarks share: a client on bare libpq, and how figures are printed.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/statistics.h"

namespace postpone::bench {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// A client's session. Throws std::runtime_error for whatever fails.
class Client {
 public:
  explicit Client(const std::string& url);
  // The first column of the first row; empty when there is none.
  std::string execute(const std::string& sql);
  int socket() const { return PQsocket(connection_.get()); }
  // Waits until a notification is there.
  void wait_for_notification();

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

// "  <what>: min … median … p90 … p99 … max … ms (n = …)".
void print_times(const std::string& what, const std::vector<double>& milliseconds);

double per_second(int jobs, Clock::time_point begin);

// Milliseconds of so many flushes of the disk that temporary files are on: fdatasync() after a write of 8
// KiB.
std::vector<double> flush_times(int flushes);

// Each measures one thing on a database and a family of its own, and prints it.
void latency(int jobs);    // defer to start on an idle system, beside the bare NOTIFY round trip
void locks(int rounds);    // four jobs of one lock, retries without wait, lateness of scheduled jobs
void aborts(int jobs);     // a person aborts a job that runs: how soon its handler hears of it
void letters(int rounds);  // four jobs append a, b, c, d under one lock, two supervisors: abcd?
void throughput(int jobs, int rounds);  // no-op jobs under 8 sub-workers, and that each ran exactly once
void hostile(int jobs, int hostile_jobs, int rounds);  // throughput beside rows that no program should write
void rest(std::chrono::seconds length);                // processor time and private memory of an idle family

// No-op jobs while the housekeeper removes so many that ended long ago, beside undisturbed.
void retention(int ended, int jobs);

void defer(int jobs, int rounds);  // defer_many() of libtask's client, beside plain SQL
void bulk(int jobs);  // `postpone jobs cancel` and `retry` of many jobs, beside the purge of as many

// Supervisor time per /status with 64 busy sub-workers; throughput beside a scraper.
void status(int requests);

// Foreign notifications in one transaction: wake-ups meanwhile, and that no job is aborted.
void foreign_notifications(int notifications, int rounds);

void rescue(int kills);  // a sub-worker is killed: how soon its job starts again in another one
// A whole family is killed, another one takes over.
void takeover(std::chrono::milliseconds stalled_after, int rounds);
// Throughput while sub-workers are killed, beside undisturbed.
void kills(std::chrono::seconds phase, int rounds);
void comeback(int restarts);  // the server is restarted: how soon the first job starts

}  // namespace postpone::bench
