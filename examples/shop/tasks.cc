// What the tasks do. A job may run twice: then it writes the same file again.
#include <libtask/json.h>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "shop.h"

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using libtask::Context, std::string, std::to_string;

// The whole file or none: nobody sees one that is half written.
static void write_file(const fs::path& path, const string& content) {
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  std::ofstream out(path.string() + ".new", std::ios::binary);
  if (!(out << content << std::flush)) throw std::runtime_error("cannot write " + path.string());
  fs::rename(path.string() + ".new", path);
}

// Of a portable pixmap (P6): every so-manyth pixel of every so-manyth row.
static void make_thumbnail(Context& job, const string& image, int width) {
  std::ifstream in(image, std::ios::binary);
  string magic;
  int columns = 0, rows = 0, most = 0;
  in >> magic >> columns >> rows >> most;
  if (magic != "P6" || most != 255) throw std::runtime_error(image + " is no portable pixmap");
  if (width < 1 || width > columns) throw libtask::BadArguments("a width that " + image + " does not have");
  string pixels(3UL * columns * rows, ' ');
  if (!in.ignore().read(pixels.data(), pixels.size())) throw std::runtime_error(image + " is cut short");
  const int step = columns / width, height = (rows + step - 1) / step;
  string small = "P6 " + to_string(width) + " " + to_string(height) + " 255\n";
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) small.append(pixels, 3UL * step * (y * columns + x), 3);
  write_file(image + "." + to_string(width), small);
  job.result({{"width", width}, {"height", height}});
}

// Samples of 16 bits become such of 8, a second of sound at a time: of two bytes the second.
static void transcode(Context& job, const string& file) {
  std::uintmax_t total = fs::file_size(file), done = 0;
  string samples(16'000, ' ');
  std::ifstream in(file, std::ios::binary);
  std::ofstream out(file + ".new", std::ios::binary);
  out.exceptions(std::ios::failbit | std::ios::badbit);
  while (in.read(samples.data(), samples.size()) || in.gcount() > 0) {
    if (job.should_abort()) throw libtask::Aborted{};
    for (long i = 1; i < in.gcount(); i += 2) out.put(samples[i]);
    job.progress(done += in.gcount(), total, file);
  }
  out.close();
  fs::rename(file + ".new", file + ".8bit");
}

void shop::add_tasks(libtask::App& app, const Post& post) {
  app.task(send_mail,
           [](Context& job, const string& to, const string& text) {
             write_file("outbox/" + to_string(job.id()) + ".eml", "To: " + to + "\n\n" + text + "\n");
           })
      .retry({.max_attempts = 5, .exponential_wait = 2s});
  app.task(make_invoice, [](Context& job, const string& customer, std::int64_t cents) {
    if (cents <= 0) throw libtask::BadArguments("an invoice over " + to_string(cents) + " cents");
    const string file = "invoices/" + to_string(job.id());
    write_file(file, to_string(cents) + " " + customer + "\n");
    job.defer(send_mail(customer, "Please pay " + to_string(cents) + " cents."));
    job.result({{"file", file}});
  });
  app.task(thumbnail, make_thumbnail).memory_limit(512 << 20);
  app.task(call_webhook,
           [post](Context& job, const string& url, const string& body) {
             const Answer answer = post(url, body);  // one that wants us to wait does not fail us
             if (answer.status == 429) job.retry_in(answer.retry_after, "told to wait", {.counts = false});
             if (answer.status / 100 != 2) throw std::runtime_error(url + ": " + to_string(answer.status));
           })
      .retry({.max_attempts = 8, .exponential_wait = 2s, .max_wait = 1h, .jitter = 0.2});
  app.task(transcode, ::transcode).time_limit(1h);
  app.task(report, [](Context& job) {
    std::int64_t invoices = 0, all = 0, cents = 0;
    fs::create_directories("invoices");
    for (const auto& file : fs::directory_iterator("invoices"))
      if (!file.path().has_extension() && std::ifstream(file.path()) >> cents) ++invoices, all += cents;
    job.result({{"invoices", invoices}, {"cents", all}});
  });
  app.periodic("0 3 * * *", report().task(), {.zone = "Europe/Paris"});
}
