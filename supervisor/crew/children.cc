#include "supervisor/crew/children.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "sys/crash_point.h"

namespace postpone::supervisor {

// A living child and what is waited for. Destroying it stops the waiting; a process that was not reaped is
// killed.
struct Children::Child {
  Child(Loop& loop, MemberId who, std::uint32_t which, Spawned spawned)
      : member(who),
        generation(which),
        process(std::move(spawned.process)),
        leash(std::move(spawned.leash)),
        end(loop, process.pidfd()),
        words(loop, leash.get()) {}

  MemberId member;
  std::uint32_t generation;
  sys::Process process;
  sys::Fd leash;
  Watch end;    // readable when the process has ended
  Watch words;  // readable when it has said something
};

Children::Children(Loop& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), children_(kMembers) {}

Children::~Children() = default;

void Children::adopt(MemberId member, Spawned spawned, std::uint32_t generation) {
  children_[member] = std::make_unique<Child>(loop_, member, generation, std::move(spawned));
  await_end(*children_[member]);
  await_words(*children_[member]);
}

void Children::drop(MemberId member) {
  children_[member].reset();
}

void Children::drop_all() {
  for (auto& child : children_) child.reset();
}

pid_t Children::pid(MemberId member) const {
  return children_[member]->process.pid();
}

void Children::signal(MemberId member, int signal_number) {
  if (children_[member]) children_[member]->process.signal(signal_number);
}

void Children::signal_all(int signal_number) {
  for (const MemberId member : living()) signal(member, signal_number);
}

std::vector<MemberId> Children::living() const {
  std::vector<MemberId> members;
  for (MemberId member = 0; member < children_.size(); ++member)
    if (children_[member]) members.push_back(member);
  return members;
}

std::vector<pid_t> Children::pids() const {
  std::vector<pid_t> pids;
  for (const auto& child : children_)
    if (child) pids.push_back(child->process.pid());
  return pids;
}

void Children::await_end(Child& child) {
  child.end.when_readable([this, member = child.member] { on_end(member); });
}

void Children::await_words(Child& child) {
  child.words.when_readable([this, member = child.member] {
    if (hear(*children_[member])) handlers_.on_heard();
  });
}

// Takes all that the child has said; false when that is nothing. The end of the leash is no news: a death is
// noticed by the pidfd, and the kernel closes the leash a moment earlier. Who went through an upkeep for it
// would be late for the death.
bool Children::hear(Child& child) {
  return child.member == kPreflight ? hear_preflight(child) : hear_messages(child);
}

bool Children::hear_messages(Child& child) {
  board::LeashMessage message{};
  ssize_t length = 0;
  bool any = false;
  while ((length = ::recv(child.leash.get(), &message, sizeof message, MSG_DONTWAIT)) > 0) {
    any = true;
    if (length == sizeof message && message.generation == child.generation)
      handlers_.on_message(child.member, message);
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) await_words(child);
  return any;
}

bool Children::hear_preflight(Child& child) {
  std::array<char, board::kMostPreflightBytes> text;
  ssize_t length = 0;
  bool any = false;
  while ((length = ::recv(child.leash.get(), text.data(), text.size(), MSG_DONTWAIT)) > 0) {
    any = true;
    on_preflight_word({text.data(), static_cast<std::size_t>(length)});
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) await_words(child);
  return any;
}

void Children::on_preflight_word(std::string_view text) {
  const auto word = static_cast<board::PreflightWord>(text.front());
  text.remove_prefix(1);
  if (word == board::PreflightWord::reason) return handlers_.on_reason(std::string(text));
  board::LimitedTask task;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), task.limit);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (word != board::PreflightWord::limit || error != std::errc() || !text.starts_with(' ')) return;
  task.name = text.substr(1);
  handlers_.on_limit(std::move(task));
}

void Children::on_end(MemberId member) {
  Child& child = *children_[member];
  hear(child);  // its last words, a lease perhaps
  const pid_t pid = child.process.pid();
  const auto report = child.process.try_reap();
  if (!report) return await_end(child);
  sys::crash_point("supervisor.member_reaped");
  const std::uint32_t generation = child.generation;
  children_[member].reset();
  handlers_.on_end(member, {pid, generation, *report});
}

}  // namespace postpone::supervisor
