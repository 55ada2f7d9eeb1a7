// Which clients follow the changes of which page. A page is made anew for all its followers together, and the longer
// it takes, the more seldom: open in many browsers it costs the database a hundredth of its time.
#pragma once

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "web/http/connection.h"

namespace postpone::web {

// A page as its followers get it: what stands between its frame, or why it cannot be made.
struct LivePage {
  std::string markup;
  std::string fault;
};

class Live {
 public:
  // Makes the page of that address, and calls `done` once, in the thread of the loop.
  using Make = std::function<void(const std::string& page, std::function<void(LivePage)> done)>;

  Live(boost::asio::io_context& context, Make make) : context_(context), make_(std::move(make)) {}
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  // False when there are too many already.
  bool follow(const std::string& page, const std::shared_ptr<Connection>& connection);
  void forget(const Connection& connection);

 private:
  struct Topic;
  void refresh_later(const std::shared_ptr<Topic>& topic);
  void refresh(const std::shared_ptr<Topic>& topic);

  boost::asio::io_context& context_;
  Make make_;
  std::map<std::string, std::shared_ptr<Topic>> topics_;
};

// The event that carries it. A line of the markup is a line of the event.
std::string event_of(const LivePage& page);

}  // namespace postpone::web
