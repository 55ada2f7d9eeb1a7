// Where a torture run takes place: a PostgreSQL server of its own, and several supervisors with their
// sub-workers on it, which come and go.
//
// A family that has lost its supervisor, or was told to leave, is dismissed: a new one takes its place, while
// the old one is still watched until its last process is gone.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/family.h"
#include "tests/support/private_server.h"

namespace postpone::torture {

inline constexpr int kFamilies = 3;
inline constexpr int kSubWorkers = 4;          // of each family
inline constexpr const char* kQueue = "work";  // which all of them serve

// After how long a silence others take over, see the configuration in field.cc.
inline constexpr std::chrono::milliseconds kStalledAfter{2000};

// The queue that this family alone serves.
std::string own_queue(int family);

class Field {
 public:
  // Everything is started and ready on return. Journal and logs go into `directory`. Throws
  // std::runtime_error.
  explicit Field(std::string directory);

  std::string url() const { return server_.url(); }
  std::string journal() const { return directory_ + "/journal"; }

  // Null while none is there.
  tests::Family* family(int index) { return families_.at(index).get(); }
  void start(int index);                    // REQUIRES: none is there
  void dismiss(int index);                  // REQUIRES: one is there
  int started() const { return started_; }  // families in all

  void stop_server(const char* mode);
  void start_server();
  bool server_runs() const { return server_runs_; }

  // Forgets those dismissed of which nothing is left; what is left of the others.
  std::vector<std::string> left_of_dismissed();

  // Writes what all families have logged into the directory.
  void save_logs() const;

 private:
  struct Dismissed {
    int number;
    std::unique_ptr<tests::Family> family;
  };
  std::string config(int index) const;
  void save_log(int number, const tests::Family& family) const;

  const std::string directory_;
  tests::PrivateServer server_;
  bool server_runs_ = true;
  std::array<std::unique_ptr<tests::Family>, kFamilies> families_;
  std::array<int, kFamilies> numbers_{};  // of the present ones, in the order of their start
  std::vector<Dismissed> dismissed_;
  int started_ = 0;
};

}  // namespace postpone::torture
