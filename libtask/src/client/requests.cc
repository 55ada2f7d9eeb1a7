#include "requests.h"

#include <algorithm>
#include <stdexcept>

namespace libtask::detail {
namespace {

constexpr std::size_t kMostNameCharacters = 128;
constexpr std::size_t kMostLockBytes = 2000;           // an index entry holds 2704
constexpr std::chrono::days kLongestWait{36'525'000};  // the database's times reach to the year 294,276

std::size_t characters_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

[[noreturn]] void refuse(const NewJob& job, const std::string& fault) {
  throw std::invalid_argument("job of task \"" + job.task().substr(0, 200) + "\": " + fault);
}

void check_text(const NewJob& job, const std::string& text, const std::string& what) {
  try {
    json_text(text);  // refuses what is not UTF-8 and what has a NUL
  } catch (const std::invalid_argument& error) {
    refuse(job, what + ": " + error.what());
  }
}

void check_name(const NewJob& job, const std::string& name, const std::string& what) {
  if (name.empty()) refuse(job, what + " is empty");
  if (characters_of(name) > kMostNameCharacters) refuse(job, what + " has more than 128 characters");
  check_text(job, name, what);
}

void check_lock(const NewJob& job, const std::string& lock, const std::string& what) {
  if (lock.size() > kMostLockBytes) refuse(job, what + " has more than 2000 bytes");
  check_text(job, lock, what);
}

}  // namespace

const Type kTypes[kColumns] = {Type::text, Type::jsonb,       Type::text, Type::int4, Type::text,
                               Type::text, Type::timestamptz, Type::text, Type::jsonb};

void check(const NewJob& job) {
  const JobOptions& options = job.options();
  check_name(job, job.task(), "the task's name");
  check_name(job, options.queue, "the queue's name");
  check_lock(job, options.lock, "the lock");
  check_lock(job, options.queueing_lock, "the queueing lock");
  if (options.schedule_at && options.schedule_in)
    refuse(job, "it has both schedule_at and schedule_in: one of them says when");
  if (options.schedule_in && (*options.schedule_in > kLongestWait || *options.schedule_in < -kLongestWait))
    refuse(job, "schedule_in is more than 100,000 years");
}

std::string_view to_string(OnConflict choice) {
  switch (choice) {
    case OnConflict::refuse:
      return "refuse";
    case OnConflict::keep:
      return "keep";
    case OnConflict::replace:
      return "replace";
  }
  return "";
}

Disposition disposition_of(std::string_view label) {
  if (label == "kept") return Disposition::kept;
  if (label == "replaced") return Disposition::replaced;
  return Disposition::created;
}

std::vector<Bytes> columns_of(const NewJob& job, std::int64_t now_us) {
  using std::chrono::microseconds;
  const JobOptions& options = job.options();
  Bytes scheduled_at;
  if (options.schedule_at) scheduled_at = to_bytes(*options.schedule_at);
  if (options.schedule_in)
    scheduled_at = to_bytes(std::chrono::sys_time<microseconds>(microseconds(now_us) + *options.schedule_in));
  return {job.task(),
          jsonb_bytes(job.args().text()),
          options.queue,
          to_bytes(static_cast<std::int32_t>(options.priority)),
          text_or_null(options.lock),
          text_or_null(options.queueing_lock),
          scheduled_at,
          std::string(to_string(options.on_conflict)),
          options.meta ? jsonb_bytes(options.meta->text()) : std::nullopt};
}

std::size_t bytes_of(const NewJob& job) {
  constexpr std::size_t kNumbers = 64;
  const JobOptions& options = job.options();
  return kNumbers + job.task().size() + job.args().text().size() + options.queue.size() +
         options.lock.size() + options.queueing_lock.size() +
         (options.meta ? options.meta->text().size() : 0);
}

std::int64_t now_for(Session& session, const std::vector<NewJob>& jobs) {
  const bool is_needed = std::any_of(jobs.begin(), jobs.end(),
                                     [](const NewJob& job) { return job.options().schedule_in.has_value(); });
  if (!is_needed) return 0;
  return session.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").number(0, 0);
}

}  // namespace libtask::detail
