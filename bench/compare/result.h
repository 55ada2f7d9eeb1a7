// What a comparison has found: figures of each contender, round by round, and what follows from them. Pure.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/statistics.h"

namespace postpone::bench {

struct Measure {
  std::string name;   // in figures and in JSON, with its unit: "jobs_per_s"
  std::string title;  // for people: "jobs a second"
  bool more_is_better = true;
};

using Figures = std::map<std::string, double>;  // by the measure's name

enum class Kind { own, peer, floor };

// What one contender has reached.
struct Line {
  std::string contender;
  std::string settings;
  Kind kind = Kind::own;
  std::vector<Figures> rounds = {};
};

struct Absence {
  std::string contender;
  std::string why;
};

// One workload, measured.
struct Result {
  std::string name;
  std::string title;
  std::vector<Measure> measures;
  // Which contender the others are divided by: the first of these that is there. kBestPeer is the peer with
  // the best median of the measure in question.
  std::vector<std::string> bases;
  std::vector<Line> lines = {};
  std::vector<Absence> absent = {};
  bool has_failure = false;  // one of them is absent since something went wrong
};

inline const std::string kBestPeer = "the best peer";

// One for each round in which the line has this measure.
std::vector<double> values_of(const Line& line, const Measure& measure);

// Null when none of the bases is there.
const Line* base_of(const Result& result, const Measure& measure);

// The line by the base, round by round, since the rounds of all contenders took turns: what the machine did
// meanwhile met both. Nothing without a common round.
std::optional<Spread> ratio_of(const Line& line, const Line& base, const Measure& measure);

// For people: a table for each measure, and who is absent.
std::string text_of(const Result& result);

// With every round's figures, the spreads and the ratios, so that whoever shows them has nothing to compute.
nlohmann::json json_of(const Result& result);

}  // namespace postpone::bench
