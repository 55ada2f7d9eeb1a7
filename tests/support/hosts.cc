#include "tests/support/hosts.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "tests/support/program.h"

namespace postpone::tests {
namespace {

const std::string kCable = "cable";  // its end at the host

sys::Fd this_network() {
  sys::Fd network(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!network) sys::throw_errno("/proc/thread-self/ns/net");
  return network;
}

void enter(int network) {
  if (::setns(network, CLONE_NEWNET) != 0) sys::throw_errno("setns");
}

// `ip <words>` in a namespace.
void ip(const NetworkNamespace& where, const std::string& words) {
  const Inside inside(where);
  std::vector<std::string> command = {"ip"};
  std::istringstream text(words);
  for (std::string word; text >> word;) command.push_back(word);
  const auto run = run_program(command);
  if (run.exit_status != 0) throw std::runtime_error("ip " + words + ": " + run.errors);
}

}  // namespace

NetworkNamespace::NetworkNamespace() {
  const sys::Fd home = this_network();
  if (::unshare(CLONE_NEWNET) != 0) sys::throw_errno("unshare");
  fd_ = this_network();
  enter(home.get());
  ip(*this, "link set lo up");
}

std::string NetworkNamespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

Inside::Inside(const NetworkNamespace& where) : home_(this_network()) {
  enter(where.fd());
}

Inside::~Inside() {
  ::setns(home_.get(), CLONE_NEWNET);
}

Host::Host(const NetworkNamespace& hub, int number)
    : hub_(hub), number_(number), cable_("host" + std::to_string(number)) {
  ip(hub_, "link add " + cable_ + " type veth peer name " + kCable + " netns " + network_.path());
  ip(hub_, "address add " + address(1) + "/24 dev " + cable_);
  ip(hub_, "link set " + cable_ + " up");
  ip(network_, "address add " + address(2) + "/24 dev " + kCable);
  ip(network_, "link set " + kCable + " up");
}

void Host::set(End end, const std::string& state) const {
  const bool at_hub = end == End::hub;
  ip(at_hub ? hub_ : network_, "link set " + (at_hub ? cable_ : kCable) + " " + state);
}

void Host::deafen() const {
  ip(hub_, "route add blackhole " + address(2));
}

void Host::hear_again() const {
  ip(hub_, "route delete blackhole " + address(2));
}

std::string Host::address(int last) const {
  return "10.0." + std::to_string(number_) + "." + std::to_string(last);
}

std::string why_no_hosts() {
  try {
    const NetworkNamespace hub;
    return "";
  } catch (const std::system_error& error) {
    return std::string("no network namespaces can be made here, root may: ") + error.what();
  }
}

}  // namespace postpone::tests
