#include "web/app.h"

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <memory>

#include "sys/logger.h"
#include "web/http/listen.h"
#include "web/http/server.h"
#include "web/pool.h"
#include "web/site.h"

namespace postpone::web {
namespace asio = boost::asio;

namespace {

// What was asked is answered within this time, or not any more.
constexpr auto kFarewell = std::chrono::seconds(5);

std::string database_url(const Arguments& arguments) {
  const char* environment = std::getenv("POSTPONE_DATABASE_URL");
  if (arguments.database_url.empty() && environment != nullptr) return environment;
  return arguments.database_url;
}

// Without sign-in, whoever reaches the address reads everything: that it may be reached from elsewhere has to be
// said, by the names that browsers call it by.
Hosts known_hosts(const Address& address, const Arguments& arguments) {
  if (address.is_unix()) return Hosts::any();
  if (!address.is_loopback() && arguments.hosts.empty())
    throw ListenError(
        "cannot listen on " + arguments.listen +
        ": other hosts reach it, and whoever does reads everything; with --host NAME, the name that "
        "browsers call it by, it is done");
  return Hosts::loopback_and(arguments.hosts);
}

// Brings what the pool has made back into the thread of the loop.
class Bridge {
 public:
  Bridge(asio::io_context& loop, Pool& pool) : loop_(loop), pool_(pool) {}

  void answer(Request request, std::function<void(Response)> done) {
    if (auto at_once = answer_at_once(request)) return done(std::move(*at_once));
    const auto asked = std::make_shared<const Request>(std::move(request));
    const bool is_taken = pool_.submit([this, asked, done](Database& database) {
      asio::post(loop_, [asked, done, response = answer_from(database, *asked)]() mutable {
        log_fault(*asked, response);
        done(std::move(response));
      });
    });
    if (!is_taken) done(busy_answer(*asked));
  }

  void make_page(const std::string& target, std::function<void(LivePage)> done) {
    const bool is_taken = pool_.submit([this, target, done](Database& database) {
      asio::post(loop_, [done, page = live_page_from(database, target)]() mutable { done(std::move(page)); });
    });
    if (!is_taken) done({"", "Too many pages wait for the database already."});
  }

 private:
  // An address that a stranger wrote stands in the log without what a terminal would obey.
  static void log_fault(const Request& request, const Response& response) {
    if (response.status < 500) return;
    sys::log.warn("{} was answered with {}", percent_encoded(request.path), response.status);
  }

  asio::io_context& loop_;
  Pool& pool_;
};

}  // namespace

void serve(const Arguments& arguments) {
  const Listener listener(parse_address(arguments.listen));
  Hosts hosts = known_hosts(listener.address(), arguments);
  asio::io_context loop(1);
  Pool pool(arguments.connections, {database_url(arguments), arguments.hide_arguments});
  Bridge bridge(loop, pool);
  Server server(loop, listener.fd(), listener.address().is_unix(), std::move(hosts),
                {[&](Request request, std::function<void(Response)> done) {
                   bridge.answer(std::move(request), std::move(done));
                 },
                 [&](const std::string& page, std::function<void(LivePage)> done) {
                   bridge.make_page(page, std::move(done));
                 }});
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  asio::steady_timer farewell(loop);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    sys::log.info("stops: answers what was asked");
    farewell.expires_after(kFarewell);
    farewell.async_wait([&](const boost::system::error_code&) { loop.stop(); });
    server.stop([&] { loop.stop(); });
  });
  sys::log.info("listens on {}", listener.url());
  loop.run();
}

}  // namespace postpone::web
