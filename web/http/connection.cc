#include "web/http/connection.h"

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

namespace postpone::web {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

using namespace std::chrono_literals;
using Error = boost::system::error_code;

constexpr std::size_t kMostBehind = std::size_t{2} * 1024 * 1024;  // bytes of events that a follower may lag
constexpr std::uint32_t kMostHeader = 16 * 1024;
constexpr auto kRequestTime = 15s;  // also between two requests
constexpr auto kAnswerTime = 15s;
constexpr auto kLingerTime = 1s;
constexpr std::size_t kMostDiscarded = std::size_t{256} * 1024;
constexpr auto kCancelAgain = 50ms;

// Scripts and styles come from this server and from nowhere else, none stands in a page, and no page of another
// server can frame this one, read it, or hear from which page its user came.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

// The answer to a request that cannot be read; nothing when the client is gone.
std::optional<Response> complaint(const Error& error, bool timed_out, bool has_begun) {
  if (timed_out) {
    if (!has_begun) return std::nullopt;
    return refusal(408, "the request did not come to its end within 15 s");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refusal(431, "the request's header is longer than 16 KiB");
  if (error == http::error::body_limit || error == http::error::unexpected_body)
    return refusal(413, "a request has no body here");
  if (error == http::error::bad_version) return refusal(505, "HTTP/1.0 and HTTP/1.1 are spoken here");
  const bool of_the_parser = error.category() == http::make_error_code(http::error::bad_method).category();
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (!of_the_parser || gone) return std::nullopt;
  return refusal(400, "this is not an HTTP request: " + error.message());
}

template <class Body>
void set_header(http::response<Body>& message, const Response& response, bool keep_alive) {
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control,
              response.is_immutable ? "public, max-age=31536000, immutable" : "no-store");
  message.set("Content-Security-Policy", kPolicy);
  message.set("X-Content-Type-Options", "nosniff");
  message.set("X-Frame-Options", "DENY");
  message.set("Referrer-Policy", "same-origin");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  message.set("Cross-Origin-Opener-Policy", "same-origin");
  if (!response.allow.empty()) message.set(http::field::allow, response.allow);
  if (!response.location.empty()) message.set(http::field::location, response.location);
  if (!response.set_cookie.empty()) message.set(http::field::set_cookie, response.set_cookie);
  message.keep_alive(keep_alive);
}

// Each step is started by the handler of the one before, and each is limited in time by the one timer; only the
// making of an answer has limits of its own.
class HttpConnection : public Connection, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(Host& host, boost::asio::io_context& context, Socket socket)
      : host_(host), socket_(std::move(socket)), timer_(context) {}

  void read_request() override;
  bool is_waiting() const override { return state_ == State::waiting; }
  bool is_following() const override { return state_ == State::following; }
  std::chrono::steady_clock::time_point waiting_since() const override { return waiting_since_; }
  void send_event(const std::shared_ptr<const std::string>& event) override;
  void close() override;
  void end_after_answer() override;

 private:
  enum class State { waiting, answering, following, closed };

  void refuse(Response response) { respond(std::move(response), {11, false, false}); }
  void on_request(const Error& error);
  std::optional<Response> fault_of_request() const;
  struct Manner {
    unsigned version;
    bool head_only;
    bool keep_alive;
  };
  void on_answer(Response response, Manner manner);
  void respond(Response response, Manner manner);
  template <class Message>
  void write(std::shared_ptr<Message> message, bool keep_alive);
  void begin_following(const Response& response, unsigned version);
  void write_next_event();
  void watch_for_end();
  void linger();
  void discard();
  void limit_time(std::chrono::milliseconds limit);
  void wait_and_cancel(std::chrono::milliseconds limit);

  Host& host_;
  Socket socket_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_{kMostHeader + 1024};
  std::optional<http::request_parser<http::empty_body>> parser_;
  State state_ = State::waiting;
  std::chrono::steady_clock::time_point waiting_since_;
  bool timed_out_ = false;
  bool is_last_ = false;                                   // no further request is read
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
    if (error || self->state_ == State::closed || self->timer_.expiry() > std::chrono::steady_clock::now())
      return;
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
  state_ = State::waiting;
  waiting_since_ = std::chrono::steady_clock::now();
  limit_time(kRequestTime);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](const Error& error, std::size_t) { self->on_request(error); });
}

std::optional<Response> HttpConnection::fault_of_request() const {
  const auto& request = parser_->get();
  if (!parser_->is_done()) return refusal(413, "a request has no body here");
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    Response response = refusal(405, "nothing can be changed here: GET and HEAD only");
    response.allow = "GET, HEAD";
    return response;
  }
  if (request.count(http::field::host) > 1 || !host_.knows(std::string(request[http::field::host])))
    return refusal(421, "postpone-web is not known by that name; --host NAME adds one");
  return std::nullopt;
}

void HttpConnection::on_request(const Error& error) {
  if (state_ == State::closed) return;
  state_ = State::answering;
  if (error) {
    const bool has_begun = parser_->got_some() || buffer_.size() > 0;
    const auto response = complaint(error, timed_out_, has_begun);
    return response ? refuse(*response) : close();
  }
  if (const auto fault = fault_of_request()) return refuse(*fault);
  const auto& message = parser_->get();
  auto target = parse_target(std::string(message.target()));
  if (!target) return refuse(refusal(400, "this is no address of a page"));
  const Manner manner{message.version(), message.method() == http::verb::head, message.keep_alive()};
  Request request{manner.head_only, std::move(target->path), std::move(target->query),
                  std::string(message.target()),
                  cookie_of(std::string(message[http::field::cookie]), "theme")};
  timer_.cancel();
  host_.answer(std::move(request), [self = shared_from_this(), manner](Response response) {
    self->on_answer(std::move(response), manner);
  });
}

void HttpConnection::on_answer(Response response, Manner manner) {
  if (state_ == State::closed) return;
  if (!response.follow.empty() && !manner.head_only) return begin_following(response, manner.version);
  respond(std::move(response), manner);
}

void HttpConnection::respond(Response response, Manner manner) {
  const bool keep_alive = manner.keep_alive && !is_last_;
  const auto status = static_cast<http::status>(response.status);
  if (manner.head_only) {
    auto message = std::make_shared<http::response<http::empty_body>>(status, manner.version);
    set_header(*message, response, keep_alive);
    message->content_length(response.body.size());
    return write(std::move(message), keep_alive);
  }
  auto message = std::make_shared<http::response<http::string_body>>(status, manner.version);
  set_header(*message, response, keep_alive);
  message->body() = std::move(response.body);
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
        if (self->state_ == State::closed) return;
        if (error) return self->close();
        return keep_alive ? self->read_request() : self->linger();
      });
}

// --- events ---

void HttpConnection::begin_following(const Response& response, unsigned version) {
  if (!host_.follow(response.follow, shared_from_this()))
    return refuse(refusal(503, "too many pages are followed already"));
  state_ = State::following;
  http::response<http::empty_body> message(http::status::ok, version);
  set_header(message, response, false);
  std::ostringstream header;
  header << message.base();
  events_.push_front(std::make_shared<const std::string>(header.str() + "retry: 5000\n: following\n\n"));
  behind_ += events_.front()->size();
  write_next_event();
  watch_for_end();
}

void HttpConnection::send_event(const std::shared_ptr<const std::string>& event) {
  if (state_ != State::following) return;
  if (behind_ + event->size() > kMostBehind) return close();
  events_.push_back(event);
  behind_ += event->size();
  if (events_.size() == 1) write_next_event();
}

void HttpConnection::write_next_event() {
  limit_time(kAnswerTime);
  asio::async_write(socket_, asio::buffer(*events_.front()),
                    [self = shared_from_this()](const Error& error, std::size_t) {
                      if (self->state_ == State::closed) return;
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
                            if (self->state_ == State::closed) return;
                            self->discarded_ += bytes;
                            if (error || self->discarded_ > self->scrap_.size()) return self->close();
                            self->watch_for_end();
                          });
}

// --- the end ---

// Closing a socket with unread words in it may cost the client our answer: it is given a moment to read it
// and to stop talking.
void HttpConnection::linger() {
  Error ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  state_ = State::waiting;  // since it asked: it has its answer, and is dropped before those that have none
  limit_time(kLingerTime);
  discard();
}

void HttpConnection::discard() {
  socket_.async_read_some(asio::buffer(scrap_),
                          [self = shared_from_this()](const Error& error, std::size_t bytes) {
                            if (self->state_ == State::closed) return;
                            self->discarded_ += bytes;
                            if (error || self->timed_out_ || self->discarded_ > kMostDiscarded)
                              return self->close();
                            self->discard();
                          });
}

void HttpConnection::close() {
  if (std::exchange(state_, State::closed) == State::closed) return;
  const auto self = shared_from_this();
  timer_.cancel();
  Error ignored;
  socket_.close(ignored);
  host_.forget(*this);
}

void HttpConnection::end_after_answer() {
  is_last_ = true;
  if (state_ == State::waiting || state_ == State::following) close();
}

}  // namespace

std::shared_ptr<Connection> Connection::make(Host& host, boost::asio::io_context& context, Socket socket) {
  return std::make_shared<HttpConnection>(host, context, std::move(socket));
}

}  // namespace postpone::web
