// Which statements the server has prepared on one connection: it parses and plans those once, not for every
// job. Internal to sql/. Pure bookkeeping; the connection does the sending.
//
// A prepared statement belongs to a session of the server. A pooler in transaction mode sends each
// transaction to another one, so nothing is prepared until it is known that the connection leads to the
// server itself: its process has the number that was given when we connected. Some poolers pass that number
// on. A name is made of its statement's text, so the server then does not know the statement, or knows it
// already, but never takes it for another one; and its error turns preparing off.
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

  // The connection leads to the server itself. Changes nothing after preparing was given up.
  void allow() {
    if (use_ == Use::unknown) use_ = Use::allowed;
  }
  bool are_allowed() const { return use_ == Use::allowed; }

  // The name of the statement with this text. REQUIRES: are_allowed().
  Name name_of(const std::string& sql);
  // The server has not prepared it after all: something in front of it in the pipeline was an error.
  void left_out(const Name& name) { prepared_.erase(name.text); }

  // After an error with this state: was it one of preparing? From then on nothing is prepared, and what was
  // sent may be sent once more, if nothing of it was done.
  bool gives_up_after(std::string_view sqlstate);

 private:
  enum class Use { unknown, allowed, given_up };

  std::set<std::string> prepared_;  // names
  Use use_ = Use::unknown;
};

}  // namespace postpone::sql
