// A task executable whose tasks have concurrency limits, and whose jobs notice when one too many runs.
//
//   --limit=N    of "limited.job"; 0, or none = it has no limit
//   --tasks=N    so many further tasks have one
#include <fcntl.h>
#include <libtask/json.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;

namespace {

int open_file(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw std::runtime_error("cannot open " + path);
  return fd;
}

void append(const std::string& path, const std::string& line) {
  const int fd = open_file(path, O_WRONLY | O_APPEND);
  if (write(fd, line.data(), line.size()) < 0) throw std::runtime_error("cannot write to " + path);
  close(fd);
}

// The first of so many places in this directory that no other job has; -1 when they are taken. It is this job's until the file
// is closed, or until all of its processes are dead.
int take_place(const std::string& directory, int places, int& fd) {
  for (int place = 0; place < places; ++place) {
    fd = open_file(directory + "/place." + std::to_string(place), O_RDWR);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return place;
    close(fd);
  }
  return -1;
}

// Writes which place it had, into DIRECTORY/places: of as many as there are, or places of its own if there are too few.
void run(libtask::Context& job, const std::string& directory, int places, int ms, bool waits) {
  int fd = -1;
  const int place = take_place(directory, places, fd);
  append(directory + "/places", std::to_string(place) + ' ' + std::to_string(job.id()) + '\n');
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end || (waits && !std::filesystem::exists(directory + "/go")))
    std::this_thread::sleep_for(1ms);
  if (place >= 0) close(fd);
}

// What follows this option, which libtask does not see then.
int take_number(int& argc, char** argv, std::string_view option) {
  for (int i = 1; i < argc; ++i) {
    if (!std::string_view(argv[i]).starts_with(option)) continue;
    const int number = std::atoi(argv[i] + option.size());
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    return number;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int limit = take_number(argc, argv, "--limit=");
  const int tasks = take_number(argc, argv, "--tasks=");
  libtask::App app;
  libtask::Task job =
      app.task("limited.job",
               [](libtask::Context& context, const std::string& directory, int places, int ms,
                  std::optional<bool> waits) { run(context, directory, places, ms, waits.value_or(false)); },
               {"directory", "places", "ms", "waits"})
          .alias("limited.old_name");
  if (limit > 0) job.concurrency_limit(limit);
  app.task("limited.other", [] {});
  for (int i = 0; i < tasks; ++i) app.task("limited." + std::to_string(i), [] {}).concurrency_limit(1);
  return app.run(argc, argv);
}
