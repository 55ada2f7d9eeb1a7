#include "bench/compare/field.h"

#include <algorithm>

#include "bench/compare/floors.h"
#include "bench/compare/own.h"
#include "bench/compare/peer.h"

namespace postpone::bench {
namespace {

constexpr int kSet = 128;  // the most that `prefetch` allows

struct PeerEntry {
  std::string name;
  std::string program;
  std::string package;
  std::string mode;
  std::string settings;
  double pace_by_speed;
  double pace_by_wait = 1;
};

const std::vector<PeerEntry>& entries() {
  static const std::vector<PeerEntry> all = {
      {kGraphileBest, "graphile", "graphile-worker", "best",
       "localQueue: {size: 500}, completeJobBatchDelay: 0, failJobBatchDelay: 0", 1},
      {kGraphilePlain, "graphile", "graphile-worker", "plain", "concurrentJobs", 0.1},
      {"pg-boss, best", "pgboss", "pg-boss", "best",
       "work(): burstWhenBatchFull, batchSize: 100, or 10 and as many workers for jobs that take time; "
       "notifications",
       0.4},
      {"pg-boss, as it comes", "pgboss", "pg-boss", "plain",
       "loops of fetch() and complete(); for jobs that come one by one, work()", 0.04, 0.1},
      {"BullMQ, best", "bullmq", "bullmq", "best", "a connection for each job at a time, removeOnComplete",
       0.05},
      {"BullMQ, as it comes", "bullmq", "bullmq", "plain", "concurrency", 0.05},
  };
  return all;
}

double pace_of(const PeerEntry& entry, Pace pace) {
  return pace == Pace::by_speed ? entry.pace_by_speed : pace == Pace::by_wait ? entry.pace_by_wait : 1;
}

// Gives its peer the load without the locks.
class Unlocked : public Peer {
 public:
  using Peer::Peer;
  Figures measure(const Load& load) override {
    Load plain = load;
    plain.own_locks = false;
    return Peer::measure(plain);
  }
};

template <typename Queue>
std::unique_ptr<Contender> made_of(const PeerEntry& entry, const std::string& name, double pace) {
  return std::make_unique<Queue>(Contender::About{name, entry.settings, Kind::peer, pace}, entry.program,
                                 entry.package, entry.mode);
}

std::unique_ptr<Contender> own(Keeping keeping) {
  using About = Contender::About;
  switch (keeping) {
    case Keeping::history:
      return std::make_unique<Own>(About{"Postpone, full history", "nothing but count", Kind::own}, "");
    case Keeping::history_one_by_one:
      return std::make_unique<Own>(About{"Postpone, one by one", "prefetch = 1", Kind::own, 0.1},
                                   "prefetch = 1\n");
    case Keeping::as_peers:
      return std::make_unique<Own>(
          About{"Postpone, keeps what peers keep", "delete_jobs = \"successful\"", Kind::own},
          "delete_jobs = \"successful\"\nevents = \"none\"\nattempts = \"failures\"\n");
  }
  return nullptr;
}

}  // namespace

Contenders queues(Peers peers, Pace pace) {
  Contenders field;
  for (const PeerEntry& entry : entries())
    if (peers == Peers::all || (peers == Peers::plain && entry.mode == "plain"))
      field.push_back(made_of<Peer>(entry, entry.name, pace_of(entry, pace)));
  return field;
}

void add_unlocked_graphile(Contenders& field) {
  field.push_back(made_of<Unlocked>(entries().front(), kGraphileUnlocked, 1));
}

void add_own(Contenders& field, const std::vector<Keeping>& kept) {
  for (const Keeping keeping : kept) field.push_back(own(keeping));
}

void add_same_sql(Contenders& field, const std::string& name) {
  const bool in_sets = name == kSameSqlInSets;
  Contender::About about = {
      name, in_sets ? "a procedure on each connection, 32 jobs a commit" : "the same, 1 job a commit",
      Kind::floor, in_sets ? 0.4 : 0.1};
  field.push_back(std::make_unique<SameSql>(std::move(about), in_sets ? kSet : 1));
}

std::vector<std::string> peer_packages() {
  std::vector<std::string> packages;
  for (const PeerEntry& entry : entries())
    if (std::ranges::find(packages, entry.package) == packages.end()) packages.push_back(entry.package);
  return packages;
}

}  // namespace postpone::bench
