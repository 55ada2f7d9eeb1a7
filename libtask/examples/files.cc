// Real work on real files: hash and compress what a directory tree holds, one job for each file.
//
//   ./files run files.hash '{"path": "/etc/passwd"}'
//   ./files run files.walk '{"root": "/usr/share/doc", "target": "/tmp/compressed", "at_most": 10}'
//
// Delivery is at least once, so each task can be run again: hashing only reads, and a compressed file appears
// under its name when it is complete, by rename().
#include <libtask/json.h>
#include <zlib.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "sha256.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Feeds a file to `sink` piece by piece, shows its progress, and stops when the job should stop.
template <class Sink>
std::uint64_t read_file(libtask::Context& job, const fs::path& path, Sink sink) {
  const std::uint64_t size = fs::file_size(path);  // names the path when it throws
  std::ifstream file(path, std::ios::binary);
  if (!file) throw fs::filesystem_error("cannot open", path, std::error_code(errno, std::generic_category()));
  std::vector<char> piece(256UL * 1024);
  std::uint64_t done = 0;
  while (file) {
    if (job.should_abort()) throw libtask::Aborted{};
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto bytes = static_cast<std::size_t>(file.gcount());
    sink(std::string_view(piece.data(), bytes));
    done += bytes;
    job.progress(done, size);
  }
  if (file.bad()) throw fs::filesystem_error("cannot read", path, std::make_error_code(std::errc::io_error));
  return done;
}

// A gzip file that is there when it is complete, and leaves nothing behind when it is not.
class GzipFile {
 public:
  explicit GzipFile(fs::path path)
      : path_(std::move(path)),
        unfinished_(path_.string() + ".unfinished"),
        file_(gzopen(unfinished_.c_str(), "wb")) {
    if (file_ == nullptr) fail("cannot create");
  }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;
  ~GzipFile() {
    if (file_ != nullptr) gzclose(file_);
    std::error_code ignored;
    fs::remove(unfinished_, ignored);
  }

  void write(std::string_view bytes) {
    if (bytes.empty()) return;
    if (gzwrite(file_, bytes.data(), static_cast<unsigned>(bytes.size())) == 0) fail("cannot write");
  }
  // Returns the size of the compressed file.
  std::uint64_t finish() {
    if (gzclose(std::exchange(file_, nullptr)) != Z_OK) fail("cannot write");
    const std::uint64_t size = fs::file_size(unfinished_);
    fs::rename(unfinished_, path_);
    return size;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw fs::filesystem_error(what, unfinished_, std::error_code(errno, std::generic_category()));
  }

  fs::path path_;
  fs::path unfinished_;
  gzFile file_;
};

void hash_file(libtask::Context& job, const std::string& path) {
  Sha256 digest;
  read_file(job, path, [&digest](std::string_view bytes) { digest.update(bytes); });
  std::cout << digest.hex() << "  " << path << '\n';
}

// /usr/share/doc/zlib1g/copyright becomes TARGET/usr/share/doc/zlib1g/copyright.gz.
void compress_file(libtask::Context& job, const std::string& path, const std::string& target) {
  const fs::path compressed =
      fs::path(target) / (fs::absolute(path).lexically_normal().relative_path().string() + ".gz");
  fs::create_directories(compressed.parent_path());
  GzipFile out(compressed);
  const std::uint64_t before = read_file(job, path, [&out](std::string_view bytes) { out.write(bytes); });
  const std::uint64_t after = out.finish();
  std::cout << path << ": " << before << " -> " << after << " bytes";
  if (before > 0) std::cout << " (" << 100 * after / before << " %)";
  std::cout << '\n';
}

// The jobs are stored together with this one's success: a walk that fails half-way has deferred nothing, and
// can be run again.
void walk_tree(libtask::Context& job, const std::string& root, const std::string& target,
               std::optional<int> at_most) {
  int found = 0;
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied)) {
    if (job.should_abort()) throw libtask::Aborted{};
    if (at_most && found == *at_most) break;
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    const std::string path = entry.path().string();
    try {
      job.defer("files.hash", {{"path", path}});
      job.defer("files.compress", {{"path", path}, {"target", target}});
    } catch (const std::invalid_argument& error) {
      std::cerr << "left out " << entry.path() << ": " << error.what() << '\n';  // a name that is not UTF-8
      continue;
    }
    job.progress(static_cast<std::uint64_t>(++found), static_cast<std::uint64_t>(at_most.value_or(0)));
  }
  std::cout << found << " files\n";
}

}  // namespace

int main(int argc, char** argv) {
  // A file that is being replaced, a full disk, a network file system that is away: worth three more
  // attempts.
  const libtask::RetryOptions retry{
      .max_attempts = 3, .wait = 1s, .linear_wait = 2s, .on = libtask::exceptions<std::system_error>()};
  libtask::App app;
  app.task("files.hash", hash_file, {"path"}).queue("files").time_limit(5min).retry(retry);
  app.task("files.compress", compress_file, {"path", "target"}).queue("files").time_limit(10min).retry(retry);
  app.task("files.walk", walk_tree, {"root", "target", "at_most"}).queue("files").priority(10);
  return app.run(argc, argv);
}
