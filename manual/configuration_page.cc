// The keys of config/reference.toml as paragraphs of a manual page.
//
// Reads the reference line by line: "# text" is prose about the keys that follow it, "#key = value" a key
// with its default, "key = value" a required key, "[section]" a section, and "# ---" ends what came before
// it. Keys that follow each other share the prose above them.
#include <sstream>
#include <stdexcept>

#include "manual/page.h"
#include "manual/roff.h"
#include "manual/text.h"

namespace postpone::manual {
namespace {

class Keys {
 public:
  void read(const std::string& line) {
    if (line.empty()) {
      end_keys();
    } else if (line.starts_with("# ---")) {
      drop_prose();
    } else if (line == "#" || line.starts_with("# ")) {
      end_keys();
      prose_ += line.size() > 1 ? line.substr(2) + "\n" : "";
    } else if (line.starts_with('[')) {
      begin_section(line);
    } else {
      add_key(line.starts_with('#') ? line.substr(1) : line);
    }
  }

  std::string text() {
    end_keys();
    return text_;
  }

 private:
  void add_key(const std::string& line) {
    const std::size_t equals = line.find(" = ");
    if (equals == std::string::npos)
      throw std::runtime_error("reference configuration: not a line of its form: " + line);
    keys_ += (keys_.empty() ? ".TP\n" : ".TQ\n") + bold(line.substr(0, equals)) +
             literal(line.substr(equals)) + "\n";
  }
  // In the reference the prose comes before its keys; on the page it comes after them.
  void end_keys() {
    if (keys_.empty()) return;
    text_ += keys_ + shown_prose();
    keys_.clear();
  }
  void begin_section(const std::string& line) { text_ += macro("SS", literal(line)) + shown_prose(); }
  void drop_prose() {
    end_keys();
    prose_.clear();
  }
  // Keeps the lines of the reference, so that the source of the page has the same ones.
  std::string shown_prose() {
    std::istringstream lines(prose(prose_));
    std::string text;
    for (std::string line; std::getline(lines, line);) text += (line[0] == '.' ? "\\&" : "") + line + "\n";
    prose_.clear();
    return text;
  }

  std::string text_;
  std::string keys_;
  std::string prose_;
};

}  // namespace

std::string configuration_page(const std::string& page, const std::string& reference) {
  std::istringstream lines(reference);
  Keys keys;
  for (std::string line; std::getline(lines, line);) keys.read(line);
  return with_version(replaced(page, "@KEYS@\n", keys.text()));
}

}  // namespace postpone::manual
