// The contract between the supervisor and the processes it starts: which descriptors they inherit, how they
// end, and what they say over the leash. Both sides include this page and nothing else of each other.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace postpone::board {

// Descriptors of a sub-worker and of the housekeeper.
inline constexpr int kLeashFd =
    3;  // a SOCK_SEQPACKET socket to the supervisor; its end of file means: the supervisor is gone
inline constexpr int kBoardFd = 4;  // the board's memfd
inline constexpr int kConfigFd =
    5;  // a sealed memfd with the text of the configuration file as the supervisor read it
// Of the check of a new configuration: another such memfd, with that in force, by whose [log] it logs.
inline constexpr int kLogConfigFd = 6;

// What the kernel sends to a member when the supervisor dies, so that nobody has to wait for the end of the
// leash. It says nothing by itself.
inline constexpr int kSupervisorDeathSignal = SIGPWR;

// What a sub-worker says over the leash. The supervisor believes these words, not the board, about who leases
// what.
enum class LeashWord : std::uint32_t {
  leased,   // I have registered: lease is my row, rescue it when I die
  started,  // my task process answers; from here on only the database can keep me from getting ready
  ready,    // and my first fetch was answered
};

struct LeashMessage {
  LeashWord word;
  std::uint32_t generation;
  std::int64_t lease;
};

// The preflight says nothing of that, but each reason why its answer is no, or, before the family works, not
// there yet: a datagram of text, cut to so many bytes.
inline constexpr std::size_t kMostReasonBytes = 1024;

// How a sub-worker ends when it is not killed.
enum class SubWorkerExit : int {
  done = 0,            // did what it was told and has nothing left
  internal_error = 1,  // an error nobody expected; stands in the log
  usage = 2,           // cannot make sense of its arguments or the configuration
  bad_task = 3,        // the task executable cannot be started or fails the handshake
  bad_schema = 4,      // the database's schema is missing, or of another version
};

}  // namespace postpone::board
