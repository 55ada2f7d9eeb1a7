#include "cli/options/parser.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <utility>

namespace postpone::cli {

Option* Option::type_name(const std::string& name) {
  option_->type_name(name);
  return this;
}

Option* Option::required() {
  option_->required();
  return this;
}

Option* Option::capture_default_str() {
  option_->capture_default_str();
  return this;
}

Option* Option::default_str(const std::string& text) {
  option_->default_str(text);
  return this;
}

Option* Option::expected(int least, int most) {
  option_->expected(least, most);
  return this;
}

Option* Option::excludes(Option* other) {
  option_->excludes(other->option_);
  return this;
}

Option* Option::take_all() {
  option_->take_all();
  return this;
}

Option* Option::delimiter(char separator) {
  option_->delimiter(separator);
  return this;
}

Option* Option::allow_extra_args(bool allowed) {
  option_->allow_extra_args(allowed);
  return this;
}

Option* Option::choices(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return this;
}

Option* Option::check(std::function<std::string(const std::string&)> check, const std::string& in_help) {
  option_->check(
      CLI::Validator([check = std::move(check)](std::string& text) { return check(text); }, in_help));
  return this;
}

Option* Option::transform(std::function<std::string(std::string&)> check, const std::string& in_help) {
  option_->transform(CLI::Validator(std::move(check), in_help));
  return this;
}

Command::Command() : owned_(std::make_unique<CLI::App>()), parser_(owned_.get()) {}

Command::Command(CLI::App* parser) : parser_(parser) {}

Command::~Command() = default;

Option* Command::keep(CLI::Option* option) {
  return &options_.emplace_back(option);
}

Command* Command::add_subcommand(const std::string& name, const std::string& description) {
  return commands_.emplace_back(std::make_unique<Command>(parser_->add_subcommand(name, description))).get();
}

template <class Value>
Option* Command::add_option(const std::string& names, Value& variable, const std::string& description) {
  return keep(parser_->add_option(names, variable, description));
}

template <class Value>
Option* Command::add_option_function(const std::string& names, std::function<void(const Value&)> take,
                                     const std::string& description) {
  return keep(parser_->add_option_function<Value>(names, std::move(take), description));
}

Option* Command::add_flag(const std::string& names, bool& variable, const std::string& description) {
  return keep(parser_->add_flag(names, variable, description));
}

void Command::set_version_flag(const std::string& name, const std::string& version,
                               const std::string& description) {
  parser_->set_version_flag(name, version, description);
}

void Command::name(const std::string& name) {
  parser_->name(name);
}

void Command::description(const std::string& text) {
  parser_->description(text);
}

void Command::footer(const std::string& text) {
  parser_->footer(text);
}

void Command::require_subcommand(int count) {
  parser_->require_subcommand(count);
}

void Command::fallthrough() {
  parser_->fallthrough();
}

void Command::parse_complete_callback(std::function<void()> then) {
  parser_->parse_complete_callback(std::move(then));
}

void Command::final_callback(std::function<void()> then) {
  parser_->final_callback(std::move(then));
}

std::size_t Command::count(const std::string& option) const {
  return parser_->count(option);
}

// All types of variables that options have.
using Text = std::string;
template Option* Command::add_option(const Text&, Text&, const Text&);
template Option* Command::add_option(const Text&, std::optional<Text>&, const Text&);
template Option* Command::add_option(const Text&, std::vector<Text>&, const Text&);
template Option* Command::add_option(const Text&, int&, const Text&);
template Option* Command::add_option(const Text&, std::optional<int>&, const Text&);
template Option* Command::add_option(const Text&, std::int64_t&, const Text&);
template Option* Command::add_option(const Text&, std::vector<std::int64_t>&, const Text&);
template Option* Command::add_option_function(const Text&, std::function<void(const Text&)>, const Text&);
template Option* Command::add_option_function(const Text&, std::function<void(const double&)>, const Text&);
template Option* Command::add_option_function(const Text&, std::function<void(const std::vector<Text>&)>,
                                              const Text&);

}  // namespace postpone::cli
