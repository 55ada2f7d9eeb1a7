#include "bench/compare/result.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace postpone::bench {
namespace {

using nlohmann::json;

bool is_better(double one, double other, const Measure& measure) {
  return measure.more_is_better ? one > other : one < other;
}

const Line* best_peer(const Result& result, const Measure& measure) {
  const Line* best = nullptr;
  for (const Line& line : result.lines) {
    const auto values = values_of(line, measure);
    if (line.kind != Kind::peer || values.empty()) continue;
    if (best == nullptr || is_better(median(values), median(values_of(*best, measure)), measure))
      best = &line;
  }
  return best;
}

// Three digits that say something, and never an exponent.
std::string shown(double value) {
  const int decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string row(const std::string& name, const std::vector<std::string>& cells) {
  std::string text = "  " + name + std::string(name.size() < 44 ? 44 - name.size() : 0, ' ');
  for (const std::string& cell : cells)
    text += std::string(cell.size() < 10 ? 10 - cell.size() : 0, ' ') + ' ' + cell;
  return text + '\n';
}

std::string ratio_text(const std::optional<Spread>& ratio) {
  if (!ratio) return "";
  return "  " + shown(ratio->median) + " (" + shown(ratio->lowest) + " to " + shown(ratio->highest) + ")";
}

std::string kind_name(Kind kind) {
  return kind == Kind::own ? "own" : kind == Kind::peer ? "peer" : "floor";
}

json json_of(const Spread& spread) {
  return {{"lowest", spread.lowest}, {"median", spread.median}, {"highest", spread.highest}};
}

// What the line reached in one measure; null when it has no such figure.
json json_of(const Result& result, const Line& line, const Measure& measure) {
  const auto values = values_of(line, measure);
  if (values.empty()) return nullptr;
  json figures = {{"rounds", values}, {"spread", json_of(spread_of(values))}};
  if (const Line* base = base_of(result, measure))
    if (const auto ratio = ratio_of(line, *base, measure)) figures["ratio"] = json_of(*ratio);
  return figures;
}

}  // namespace

std::vector<double> values_of(const Line& line, const Measure& measure) {
  std::vector<double> values;
  for (const Figures& figures : line.rounds)
    if (const auto found = figures.find(measure.name); found != figures.end())
      values.push_back(found->second);
  return values;
}

const Line* base_of(const Result& result, const Measure& measure) {
  for (const std::string& name : result.bases) {
    if (name == kBestPeer) {
      if (const Line* best = best_peer(result, measure)) return best;
      continue;
    }
    const auto named = [&](const Line& line) {
      return line.contender == name && !values_of(line, measure).empty();
    };
    if (const auto found = std::ranges::find_if(result.lines, named); found != result.lines.end())
      return &*found;
  }
  return nullptr;
}

std::optional<Spread> ratio_of(const Line& line, const Line& base, const Measure& measure) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(line.rounds.size(), base.rounds.size()); ++round) {
    const auto one = line.rounds[round].find(measure.name);
    const auto other = base.rounds[round].find(measure.name);
    if (one != line.rounds[round].end() && other != base.rounds[round].end() && other->second != 0)
      ratios.push_back(one->second / other->second);
  }
  if (ratios.empty()) return std::nullopt;
  return spread_of(ratios);
}

std::string text_of(const Result& result) {
  std::string text = result.name + ": " + result.title + '\n';
  for (const Measure& measure : result.measures) {
    const Line* base = base_of(result, measure);
    text += row(measure.title, {"median", "lowest", "highest"});
    text.insert(text.size() - 1, base == nullptr ? "" : "  ratio to " + base->contender);
    for (const Line& line : result.lines) {
      const auto values = values_of(line, measure);
      if (values.empty()) continue;
      const Spread spread = spread_of(values);
      text += row(line.contender, {shown(spread.median), shown(spread.lowest), shown(spread.highest)});
      if (base != nullptr) text.insert(text.size() - 1, ratio_text(ratio_of(line, *base, measure)));
    }
  }
  for (const Absence& absence : result.absent)
    text += "  absent: " + absence.contender + ": " + absence.why + '\n';
  return text;
}

json json_of(const Result& result) {
  json answer = {{"name", result.name},
                 {"title", result.title},
                 {"measures", json::array()},
                 {"contenders", json::array()},
                 {"absent", json::array()}};
  for (const Measure& measure : result.measures) {
    const Line* base = base_of(result, measure);
    answer["measures"].push_back({{"name", measure.name},
                                  {"title", measure.title},
                                  {"more_is_better", measure.more_is_better},
                                  {"base", base == nullptr ? json() : json(base->contender)}});
  }
  for (const Line& line : result.lines) {
    json figures = json::object();
    for (const Measure& measure : result.measures)
      if (json found = json_of(result, line, measure); !found.is_null())
        figures[measure.name] = std::move(found);
    answer["contenders"].push_back({{"name", line.contender},
                                    {"settings", line.settings},
                                    {"kind", kind_name(line.kind)},
                                    {"figures", std::move(figures)}});
  }
  for (const Absence& absence : result.absent)
    answer["absent"].push_back({{"contender", absence.contender}, {"why", absence.why}});
  return answer;
}

}  // namespace postpone::bench
