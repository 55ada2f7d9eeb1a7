// Why locks exist. Four jobs that append a, b, c and d to a file after a random time each: several
// sub-workers run them at once, so the file reads "cabd" or any other order. Deferred with the same lock,
// they run one after the other: "abcd".
//
//   ./letters run letters.append '{"file": "/tmp/letters", "letter": "a", "max_ms": 100}'
#include <fcntl.h>
#include <libtask/json.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <random>
#include <string>
#include <system_error>
#include <thread>

namespace {

std::chrono::milliseconds random_time(int max_ms) {
  static std::mt19937 random{std::random_device{}()};
  return std::chrono::milliseconds(std::uniform_int_distribution<>(0, max_ms)(random));
}

// O_APPEND puts each letter at the end, whatever other processes write at the same time.
void append(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) throw std::system_error(errno, std::generic_category(), path);
  const ssize_t written = write(file, text.data(), text.size());
  const int error = errno;
  close(file);
  if (written < 0) throw std::system_error(error, std::generic_category(), path);
}

void append_letter(libtask::Context& job, const std::string& file, const std::string& letter, int max_ms) {
  if (max_ms < 0) throw libtask::BadArguments("max_ms is negative");
  std::this_thread::sleep_for(random_time(max_ms));
  if (job.should_abort()) throw libtask::Aborted{};
  append(file, letter);
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  app.task("letters.append", append_letter, {"file", "letter", "max_ms"}).queue("letters");
  return app.run(argc, argv);
}
