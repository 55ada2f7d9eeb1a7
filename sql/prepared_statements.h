// Which statements the server has prepared on one connection: it parses and plans those once, not for every
// job. Internal to sql/. Pure bookkeeping; the connection does the sending.
//
// A prepared statement belongs to a session of the server. A pooler in transaction mode sends each
// transaction to another one, so nothing is prepared until it is known that the connection leads to the
// server itself: its process has the number that was given when we connected. Some poolers pass that number
// on; then the server does not know the statement, or knows it twice, and its error turns preparing off.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace postpone::sql {

class PreparedStatements {
 public:
  struct Name {
    std::string text;
    bool is_new = false;  // it is to be prepared now, in front of its first use
  };

  // The connection leads to the server itself.
  void allow() { allowed_ = !refused_; }
  bool are_allowed() const { return allowed_; }

  // The name of the statement with this text. REQUIRES: are_allowed().
  Name name_of(const std::string& sql);
  // The server has not prepared it after all: something in front of it in the pipeline was an error.
  void left_out(const Name& name) { prepared_.erase(name.text); }

  // After an error with this state, of a transaction of which nothing was done: was it one of preparing, and
  // is the transaction to be sent once more, without? From then on nothing is prepared.
  bool gives_up_after(std::string_view sqlstate);

 private:
  std::set<std::string, std::less<>> prepared_;  // names
  bool allowed_ = false;
  bool refused_ = false;
};

}  // namespace postpone::sql
