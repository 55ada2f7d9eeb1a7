// The contract between the supervisor and the processes it starts: which descriptors they inherit, how they
// end, and what they say over the leash. Supervisor and sub-worker include this page, and no file of each
// other.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace postpone::board {

// Descriptors that every member inherits:
inline constexpr int kLeashFd = 3;   // a SOCK_SEQPACKET socket to the supervisor; its end means: it is gone
inline constexpr int kBoardFd = 4;   // the board's memfd
inline constexpr int kConfigFd = 5;  // a sealed memfd: the configuration's text as the supervisor read it
// The preflight of a reload has one more: such a memfd of the configuration in force, by whose [log] it logs.
inline constexpr int kLogConfigFd = 6;
// A sub-worker has one more: its ledger.
inline constexpr int kLedgerFd = 7;

// What the kernel sends to a member when the supervisor dies: it interrupts a wait, after which the member
// finds the end of the leash. The signal says nothing by itself.
inline constexpr int kSupervisorDeathSignal = SIGPWR;

// What a sub-worker says over the leash. The supervisor believes these words, not the board, about which
// incarnation has which lease.
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

// The preflight sends none of these messages, but datagrams of text, cut to so many bytes, whose first letter says of
// what kind they are.
inline constexpr std::size_t kMostPreflightBytes = 1024;
enum class PreflightWord : char {
  reason = 'r',  // why it refuses the configuration, or, at the start, why it cannot answer yet
  limit = 'l',   // of a task: how many of its jobs may run at a time, a blank, its name
};

// In each cgroup that families keep for their task processes, this and the supervisor's pid is the name of a
// family's part.
inline constexpr const char* kFamilyCgroupPrefix = "postpone-family-";

// How a sub-worker, a housekeeper or a preflight ends when it is not killed. These are not the supervisor's
// codes, which Supervisor::on_preflight_end() chooses by them.
enum class SubWorkerExit : int {
  done = 0,            // did what it was commanded to, and has nothing left
  internal_error = 1,  // an unexpected error, which stands in the log; or an outcome is not recorded
  usage = 2,           // cannot make sense of its arguments or the configuration
  bad_task = 3,        // the task executable cannot be started or fails the handshake
  bad_schema = 4,      // the schema is missing or of another version, or the database refuses us for good
};

}  // namespace postpone::board
