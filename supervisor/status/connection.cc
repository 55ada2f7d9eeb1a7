#include "supervisor/status/connection.h"
#include "sys/logger.h"

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <deque>
#include <optional>
#include <sstream>

namespace postpone::supervisor::status {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

using namespace std::chrono_literals;
using Error = boost::system::error_code;

constexpr std::size_t kMostBehind = std::size_t{4} * 1024 * 1024;  // batches are shared by all followers
constexpr std::size_t kMostOfFollower = std::size_t{8} * 1024;     // that it may say
constexpr std::uint32_t kMostHeader = 8 * 1024;
constexpr auto kRequestTime = 10s;
constexpr auto kAnswerTime = 10s;
constexpr auto kLingerTime = 1s;
constexpr std::size_t kMostLingering = std::size_t{1024} * 1024;
constexpr auto kCancelAgain = 50ms;

// The answer to a request that cannot be read; nothing when the client is gone.
std::optional<Response> complaint(const Error& error, bool timed_out, bool has_begun) {
  if (timed_out) {
    if (!has_begun) return std::nullopt;
    return refusal(408, "the request did not come to its end within 10 s");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refusal(431, "the request's header is longer than 8 KiB");
  if (error == http::error::body_limit || error == http::error::unexpected_body)
    return refusal(413, "a request has no body here");
  if (error == http::error::bad_version) return refusal(505, "HTTP/1.0 and HTTP/1.1 are spoken here");
  const bool of_the_parser = error.category() == http::make_error_code(http::error::bad_method).category();
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (!of_the_parser || gone) return std::nullopt;
  return refusal(400, "this is not an HTTP request: " + error.message());
}

// Each step is started by the handler of the one before, and each is limited in time by the one timer.
class HttpConnection : public Connection, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(Host& host, boost::asio::io_context& context, Socket socket)
      : host_(host), socket_(std::move(socket)), timer_(context) {}

  void read_request() override;
  bool is_waiting() const override { return waiting_; }
  std::chrono::steady_clock::time_point waiting_since() const override { return waiting_since_; }
  void send_event(const std::shared_ptr<const std::string>& event) override;
  void close() override;

 private:
  void refuse(const Response& response) { respond(response, 11, false, false); }
  void on_request(const Error& error);
  void respond(const Response& response, unsigned version, bool head_only, bool keep_alive);
  template <class Message>
  void write(std::shared_ptr<Message> message, bool keep_alive);
  void begin_following(const Response& response, unsigned version);
  void write_next_event();
  void watch_for_end();
  void linger();
  void discard();
  void limit_time(std::chrono::milliseconds limit);
  void wait_and_cancel(std::chrono::milliseconds limit);

  template <class Body>
  static void set_header(http::response<Body>& message, const Response& response, bool keep_alive);

  Host& host_;
  Socket socket_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_{kMostHeader + 1024};
  std::optional<http::request_parser<http::empty_body>> parser_;
  bool waiting_ = false;
  std::chrono::steady_clock::time_point waiting_since_;
  bool timed_out_ = false;
  bool closed_ = false;
  bool following_ = false;
  std::deque<std::shared_ptr<const std::string>> events_;  // the first is being written
  std::size_t behind_ = 0;                                 // bytes of them
  std::size_t discarded_ = 0;
  std::array<char, 4096> scrap_{};
};

// When time is up the timer cancels the pending operation, whose handler sees `timed_out_`. Asio may have no
// operation pending between two steps, so the timer cancels again until a handler has seen it.
void HttpConnection::limit_time(std::chrono::milliseconds limit) {
  timed_out_ = false;
  wait_and_cancel(limit);
}

void HttpConnection::wait_and_cancel(std::chrono::milliseconds limit) {
  timer_.expires_after(limit);
  timer_.async_wait([self = shared_from_this()](const Error& error) {
    if (error || self->closed_ || self->timer_.expiry() > std::chrono::steady_clock::now()) return;
    self->timed_out_ = true;
    Error ignored;
    self->socket_.cancel(ignored);
    self->wait_and_cancel(kCancelAgain);
  });
}

void HttpConnection::read_request() {
  parser_.emplace();
  parser_->header_limit(kMostHeader);
  parser_->body_limit(0);
  waiting_ = true;
  waiting_since_ = std::chrono::steady_clock::now();
  limit_time(kRequestTime);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const Error& error, std::size_t) { self->on_request(error); });
}

void HttpConnection::on_request(const Error& error) {
  waiting_ = false;
  if (closed_) return;
  if (error) {
    const bool has_begun = parser_->got_some() || buffer_.size() > 0;
    const auto response = complaint(error, timed_out_, has_begun);
    return response ? refuse(*response) : close();
  }
  const auto& request = parser_->get();
  const bool has_body = !parser_->is_done();
  if (has_body) return refuse(refusal(413, "a request has no body here"));
  const std::string method(request.method_string());
  Response response;
  try {
    response = host_.answer(method, std::string(request.target()));
  } catch (const std::exception& problem) {
    sys::log.error("status socket: {}", problem.what());
    response = refusal(500, problem.what());
  }
  const bool head_only = method == "HEAD";
  if (response.follow && !head_only) return begin_following(response, request.version());
  respond(response, request.version(), head_only, request.keep_alive());
}

template <class Body>
void HttpConnection::set_header(http::response<Body>& message, const Response& response, bool keep_alive) {
  message.set(http::field::server, "postpone");
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  if (!response.allow.empty()) message.set(http::field::allow, response.allow);
  message.keep_alive(keep_alive);
}

void HttpConnection::respond(const Response& response, unsigned version, bool head_only, bool keep_alive) {
  const auto status = static_cast<http::status>(response.status);
  if (head_only) {
    auto message = std::make_shared<http::response<http::empty_body>>(status, version);
    set_header(*message, response, keep_alive);
    if (!response.follow) message->content_length(response.body.size());
    return write(std::move(message), keep_alive && !response.follow);
  }
  auto message = std::make_shared<http::response<http::string_body>>(status, version);
  set_header(*message, response, keep_alive);
  message->body() = response.body;
  message->prepare_payload();
  write(std::move(message), keep_alive);
}

template <class Message>
void HttpConnection::write(std::shared_ptr<Message> message, bool keep_alive) {
  limit_time(kAnswerTime);
  Message& kept = *message;
  http::async_write(
      socket_, kept,
      [self = shared_from_this(), message = std::move(message), keep_alive](const Error& error, std::size_t) {
        if (self->closed_) return;
        if (error) return self->close();
        return keep_alive ? self->read_request() : self->linger();
      });
}

// --- events ---

void HttpConnection::begin_following(const Response& response, unsigned version) {
  if (!host_.follow()) return refuse(refusal(503, "16 clients follow the events already"));
  following_ = true;
  http::response<http::empty_body> message(http::status::ok, version);
  set_header(message, response, false);
  std::ostringstream header;
  header << message.base();
  // A comment, so that the client knows at once that it follows.
  events_.push_back(
      std::make_shared<const std::string>(header.str() + ": following\n\n" + host_.first_words()));
  behind_ = events_.front()->size();
  write_next_event();
  watch_for_end();
}

void HttpConnection::send_event(const std::shared_ptr<const std::string>& event) {
  if (!following_ || closed_) return;
  if (behind_ + event->size() > kMostBehind) return close();
  events_.push_back(event);
  behind_ += event->size();
  if (events_.size() == 1) write_next_event();
}

void HttpConnection::write_next_event() {
  limit_time(kAnswerTime);
  asio::async_write(socket_, asio::buffer(*events_.front()),
                    [self = shared_from_this()](const Error& error, std::size_t) {
                      if (self->closed_) return;
                      if (error) return self->close();
                      self->behind_ -= self->events_.front()->size();
                      self->events_.pop_front();
                      self->timer_.cancel();
                      if (!self->events_.empty()) self->write_next_event();
                    });
}

// A client that follows says nothing more; the end of its words is the end.
void HttpConnection::watch_for_end() {
  socket_.async_read_some(asio::buffer(scrap_),
                          [self = shared_from_this()](const Error& error, std::size_t bytes) {
                            if (self->closed_) return;
                            self->discarded_ += bytes;
                            if (error || self->discarded_ > kMostOfFollower) return self->close();
                            self->watch_for_end();
                          });
}

// --- the end ---

// Closing a socket with unread words in it may cost the client our answer: it is given a moment to read it
// and to stop talking.
void HttpConnection::linger() {
  Error ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  waiting_ = true;  // since it asked: it has its answer, and is dropped before those that have none
  limit_time(kLingerTime);
  discard();
}

void HttpConnection::discard() {
  socket_.async_read_some(asio::buffer(scrap_),
                          [self = shared_from_this()](const Error& error, std::size_t bytes) {
                            if (self->closed_) return;
                            self->discarded_ += bytes;
                            if (error || self->timed_out_ || self->discarded_ > kMostLingering)
                              return self->close();
                            self->discard();
                          });
}

void HttpConnection::close() {
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  timer_.cancel();
  Error ignored;
  socket_.close(ignored);
  if (following_) host_.unfollow();
  host_.forget(*this);
}

}  // namespace

std::shared_ptr<Connection> Connection::make(Host& host, boost::asio::io_context& context, Socket socket) {
  return std::make_shared<HttpConnection>(host, context, std::move(socket));
}

}  // namespace postpone::supervisor::status
