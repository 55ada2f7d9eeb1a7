// Threads that make answers, each with a connection of its own to the database. There are few: they are the limit of
// what postpone-web asks of the server at a time, however many people look.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "web/database.h"

namespace postpone::web {

class Pool {
 public:
  using Work = std::function<void(Database&)>;

  Pool(int threads, const DatabaseOptions& options);
  // Ends what waits for the server, and leaves undone what has not begun.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Runs it in one of the threads, some time. False, and it is not run, when too much waits already. `work` must not
  // throw.
  bool submit(Work work);

 private:
  void run(const DatabaseOptions& options);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace postpone::web
