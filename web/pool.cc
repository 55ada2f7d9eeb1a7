#include "web/pool.h"

#include <csignal>

namespace postpone::web {
namespace {

// A minute's worth at worst; who comes then is told so.
constexpr std::size_t kMostWaiting = 64;

}  // namespace

Pool::Pool(int threads, const DatabaseOptions& options) {
  // Signals are for the thread of the loop.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, options] { run(options); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Pool::submit(Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= kMostWaiting) return false;
    waiting_.push_back(std::move(work));
  }
  changed_.notify_one();
  return true;
}

void Pool::run(const DatabaseOptions& options) {
  Database database(options, stopping_);
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work(database);
  }
}

}  // namespace postpone::web
