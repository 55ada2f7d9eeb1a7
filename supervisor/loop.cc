#include "supervisor/loop.h"

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "supervisor/asio.h"
#include "sys/fd.h"

namespace postpone::supervisor {
namespace asio = boost::asio;
namespace {

// An Asio handler that keeps the promise of loop.h. Asio completes an operation without an error when its
// event came in before the cancel, so the error code does not show the cancel. A handler knows of it because
// the shared number, `current_`, is gone or has changed.
class Guard {
 public:
  Callback guard(Callback callback) {
    const std::uint64_t mine = ++*current_;
    return [weak = std::weak_ptr(current_), mine, callback = std::move(callback)] {
      const auto current = weak.lock();
      if (current && *current == mine) callback();
    };
  }

 private:
  std::shared_ptr<std::uint64_t> current_ = std::make_shared<std::uint64_t>(0);
};

auto handler(Callback callback) {
  return [callback = std::move(callback)](const boost::system::error_code& error) {
    if (!error) callback();
  };
}

}  // namespace

struct Loop::Impl {
  asio::io_context context;
  asio::signal_set signals{context};
  std::function<void(int)> on_signal;

  void await_signal() {
    signals.async_wait([this](const boost::system::error_code& error, int signal_number) {
      if (error) return;
      on_signal(signal_number);
      await_signal();
    });
  }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;
void Loop::run() {
  impl_->context.run();
}
void Loop::stop() {
  impl_->context.stop();
}

void Loop::on_signals(std::initializer_list<int> signals, std::function<void(int)> callback) {
  for (int signal_number : signals) impl_->signals.add(signal_number);
  impl_->on_signal = std::move(callback);
  impl_->await_signal();
}

asio::io_context& io_context(Loop& loop) {
  return loop.impl().context;
}

struct Watch::Impl {
  asio::posix::stream_descriptor descriptor;
  Guard readable;
  Guard writable;
};

Watch::Watch(Loop& loop, int fd)
    : impl_(new Impl{asio::posix::stream_descriptor(loop.impl().context), {}, {}}) {
  sys::Fd copy = sys::duplicate(fd);
  impl_->descriptor.assign(copy.get());  // throws, and then the copy is closed
  copy.release();
}
Watch::~Watch() = default;
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;

void Watch::when_readable(Callback callback) {
  impl_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                               handler(impl_->readable.guard(std::move(callback))));
}

void Watch::when_writable(Callback callback) {
  impl_->descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                               handler(impl_->writable.guard(std::move(callback))));
}

struct Timer::Impl {
  asio::steady_timer timer;
  Guard expiry;
};

Timer::Timer(Loop& loop) : impl_(new Impl{asio::steady_timer(loop.impl().context), {}}) {}
Timer::~Timer() = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;

void Timer::set(std::chrono::steady_clock::time_point at, Callback callback) {
  impl_->timer.expires_at(at);
  impl_->timer.async_wait(handler(impl_->expiry.guard(std::move(callback))));
}

}  // namespace postpone::supervisor
