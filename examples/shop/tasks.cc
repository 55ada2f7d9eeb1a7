// What the tasks do. A job may run twice: then it writes the same file again.
#include <libtask/json.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "shop.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::string;

// The whole file or none: nobody sees one that is half written.
void write_file(const fs::path& path, const string& content) {
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  std::ofstream out(path.string() + ".new", std::ios::binary);
  if (!(out << content << std::flush)) throw std::runtime_error("cannot write " + path.string());
  fs::rename(path.string() + ".new", path);
}

// The outbox is a directory that a mail program empties.
void send_mail(libtask::Context& job, const string& to, const string& text) {
  write_file("outbox/" + std::to_string(job.id()) + ".eml", "To: " + to + "\n\n" + text + "\n");
}

void make_invoice(libtask::Context& job, const string& customer, std::int64_t cents) {
  if (cents <= 0) throw libtask::BadArguments("an invoice over " + std::to_string(cents) + " cents");
  const string file = "invoices/" + std::to_string(job.id());
  write_file(file, std::to_string(cents) + " " + customer + "\n");
  job.defer(shop::send_mail(customer, "Please pay " + std::to_string(cents) + " cents."));
  job.result({{"file", file}});
}

// Of a portable pixmap (P6): of the pixels that become one, the first.
void make_thumbnail(libtask::Context& job, const string& image, int width) {
  std::ifstream in(image, std::ios::binary);
  string magic;
  int columns = 0, rows = 0, most = 0;
  if (!(in >> magic >> columns >> rows >> most) || magic != "P6" || columns < 1 || rows < 1 || most != 255)
    throw std::runtime_error(image + " is no portable pixmap");
  if (width < 1 || width > columns) throw libtask::BadArguments("a width that " + image + " does not have");
  string pixels(3UL * columns * rows, ' ');
  if (!in.ignore().read(pixels.data(), pixels.size())) throw std::runtime_error(image + " is cut short");
  const long height = std::max(1L, static_cast<long>(rows) * width / columns);
  string small = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
  for (long y = 0; y < height; ++y)
    for (long x = 0; x < width; ++x)
      small.append(pixels, 3 * (y * rows / height * columns + x * columns / width), 3);
  write_file(image + "." + std::to_string(width), small);
  job.result({{"width", width}, {"height", height}});
}

// A server that wants us to wait does not fail us. Any other refusal is an attempt, and the next ones come later and later.
void call_webhook(libtask::Context& job, const shop::Post& post, const string& url, const string& body) {
  const shop::Answer answer = post(url, body);
  if (answer.status == 429) job.retry_in(answer.retry_after, "too many requests", {.counts = false});
  if (answer.status / 100 != 2) throw std::runtime_error(url + " answers " + std::to_string(answer.status));
}

// Samples of 16 bits become such of 8, a second of sound at a time.
void transcode(libtask::Context& job, const string& file) {
  const std::uint64_t total = fs::file_size(file) / 2;
  std::ifstream in(file, std::ios::binary);
  std::ofstream out(file + ".new", std::ios::binary);
  std::vector<std::int16_t> samples(8000);
  for (std::uint64_t done = 0; done < total;) {
    if (job.should_abort()) throw libtask::Aborted{};
    samples.resize(std::min<std::uint64_t>(samples.size(), total - done));
    in.read(reinterpret_cast<char*>(samples.data()), 2 * samples.size());
    for (const std::int16_t sample : samples) out.put(static_cast<char>(sample >> 8));
    if (!in || !out) throw std::runtime_error("cannot transcode " + file);
    job.progress(done += samples.size(), total, file);
  }
  out.close();
  fs::rename(file + ".new", file + ".8bit");
}

void report(libtask::Context& job) {
  std::int64_t invoices = 0, all = 0, cents = 0;
  fs::create_directories("invoices");
  for (const auto& file : fs::directory_iterator("invoices"))
    if (!file.path().has_extension() && std::ifstream(file.path()) >> cents) ++invoices, all += cents;
  job.result({{"invoices", invoices}, {"cents", all}});
}

}  // namespace

void shop::add_tasks(libtask::App& app, const Post& post) {
  app.task(shop::send_mail, ::send_mail).retry({.max_attempts = 5, .exponential_wait = 2s});
  app.task(shop::make_invoice, ::make_invoice);
  app.task(shop::make_thumbnail, ::make_thumbnail).memory_limit(512 << 20);
  app.task(shop::call_webhook, [post](libtask::Context& job, const string& url,
                                      const string& body) { ::call_webhook(job, post, url, body); })
      .retry({.max_attempts = 8, .exponential_wait = 2s, .max_wait = 1h, .jitter = 0.2});
  app.task(shop::transcode, ::transcode).time_limit(1h);
  app.task(shop::report, ::report);
  app.periodic("0 3 * * *", "report.nightly", {.zone = "Europe/Paris"});
}
