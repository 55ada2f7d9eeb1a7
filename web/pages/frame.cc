#include "web/pages/frame.h"

#include <array>

#include "web/assets.h"
#include "web/pages/parts.h"
#include "web/pages/symbols.h"

namespace postpone::web {
namespace {

struct Entry {
  Section section;
  Literal path;
  Literal key;  // behind g
  Literal symbol;
  Literal word;
};
const std::array<Entry, 8> kEntries = {{{Section::overview, "/", "o", "#i-overview", "Overview"},
                                        {Section::jobs, "/jobs", "j", "#i-jobs", "Jobs"},
                                        {Section::failures, "/failures", "f", "#i-failures", "Failures"},
                                        {Section::queues, "/queues", "q", "#i-queues", "Queues"},
                                        {Section::tasks, "/tasks", "t", "#i-tasks", "Tasks"},
                                        {Section::locks, "/locks", "l", "#i-locks", "Locks"},
                                        {Section::schedules, "/schedules", "s", "#i-schedules", "Schedules"},
                                        {Section::workers, "/workers", "w", "#i-workers", "Workers"}}};

const Entry& entry_of(Section section) {
  return kEntries.at(static_cast<std::size_t>(section));
}

Html navigation(Section current) {
  return html("<ul class=\"navlist\">{}</ul>", each_of(kEntries, [&](const Entry& entry) {
                return html("<li><a href=\"{}\" data-go=\"{}\"{}>{}{}</a></li>\n", Link(entry.path),
                            entry.key.text(), Attribute(" aria-current=\"page\"", entry.section == current),
                            icon(entry.symbol), entry.word.text());
              }));
}

Html theme_button(const FrameOptions& options, Literal value, Literal word) {
  const bool is_chosen = value.text() == (options.theme.empty() ? "auto" : options.theme);
  return html("<button name=\"theme\" value=\"{}\" aria-pressed=\"{}\">{}</button>", value.text(),
              is_chosen ? "true" : "false", word.text());
}

// The theme is a cookie of the browser; a GET changes nothing here.
Html side_foot(const Page& page, const FrameOptions& options) {
  const Html database = page.reading
                            ? html("<p><b><bdi>{}</bdi></b><br>PostgreSQL {} · schema {}</p>",
                                   page.reading->database, page.reading->server, page.reading->schema_version)
                            : Html();
  return html(
      "<div class=\"sidefoot\"><form method=\"get\" action=\"{}\" class=\"seg\" aria-label=\"Theme\">"
      "<input type=\"hidden\" name=\"back\" value=\"{}\">{}{}{}</form>{}<p>read-only</p></div>",
      Link("/theme"), options.target, theme_button(options, "auto", "Auto"),
      theme_button(options, "light", "Light"), theme_button(options, "dark", "Dark"), database);
}

Html top(const Page& page, const FrameOptions& options) {
  const Entry& entry = entry_of(page.section);
  const Html state =
      page.reading ? html("As of {}", clock_text(page.reading->now).substr(0, 8)) : html("No answer");
  return html(
      "<div class=\"top\"><details class=\"menu drop\"><summary class=\"btn\">{}{}</summary><div>"
      "<nav aria-label=\"Main, narrow\">{}</nav>{}</div></details>"
      "<form class=\"find\" action=\"{}\" role=\"search\" aria-label=\"Find jobs\">{}<input type=\"search\" "
      "name=\"q\" data-find"
      " aria-label=\"Find jobs\" placeholder=\"Job id, or task:… queue:… lock:…\" autocomplete=\"off\""
      " spellcheck=\"false\"><kbd aria-hidden=\"true\">/</kbd></form><span class=\"grow d-only\"></span>"
      "<span class=\"{}\" role=\"status\" data-state>{}</span></div>",
      icon(entry.symbol), entry.word.text(), navigation(page.section), side_foot(page, options),
      Link("/jobs"), icon("#i-search"), page.reading ? "live" : "live stale", state);
}

Html foot(const Page& page) {
  const Html moment =
      page.reading
          ? html("<span>As of <time datetime=\"{}\" title=\"{} UTC\">{}</time> · times in UTC</span>",
                 iso_text(page.reading->now), utc_text(page.reading->now), clock_text(page.reading->now))
          : Html();
  return html(
      "<footer class=\"foot\">{}<span>postpone-web {}</span><span class=\"d-only\"><kbd>?</kbd> "
      "keys</span></footer>",
      moment, POSTPONE_VERSION);
}

Html key(Literal what, const Html& keys) {
  return html("<div><dt>{}</dt><dd>{}</dd></div>", what.text(), keys);
}

Html keys() {
  Html all =
      key("Find", html("<kbd>/</kbd>")) + key("Next, previous row", html("<kbd>j</kbd> <kbd>k</kbd>")) +
      key("Open the row", html("<kbd>↵</kbd>")) + key("Older, newer page", html("<kbd>n</kbd> <kbd>p</kbd>"));
  for (const Entry& entry : kEntries)
    all += key(entry.word, html("<kbd>g</kbd> <kbd>{}</kbd>", entry.key.text()));
  all += key("Close", html("<kbd>Esc</kbd>"));
  return html(
      "<dialog id=\"keys\" aria-labelledby=\"keys-h\"><h2 id=\"keys-h\">Keys</h2><dl "
      "class=\"keys\">{}</dl></dialog>",
      all);
}

Html document_head(const Page& page, const FrameOptions& options) {
  const std::string of_database = page.reading ? " · " + page.reading->database : "";
  return html(
      "<!doctype html>\n<html lang=\"en\"{}>\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}{} · "
      "Postpone</title>\n"
      "<link rel=\"icon\" href=\"{}\">\n<link rel=\"stylesheet\" href=\"{}\">\n<script src=\"{}\" "
      "defer></script>\n{}"
      "</head>\n",
      options.theme == "dark"    ? Attribute(" data-theme=\"dark\"")
      : options.theme == "light" ? Attribute(" data-theme=\"light\"")
                                 : Attribute(""),
      page.title, of_database, asset_link("/assets/icon.svg"), asset_link("/assets/style.css"),
      asset_link("/assets/ui.js"),
      options.is_live ? html("<script src=\"{}\" defer></script>\n", asset_link("/assets/live.js")) : Html());
}

}  // namespace

std::string framed(const Page& page, const FrameOptions& options) {
  const Html document = html(
      "{}<body>\n{}<a class=\"skip\" href=\"{}\">To the content</a>\n<div class=\"app\">\n<aside "
      "class=\"side\">\n"
      "<a class=\"brand\" href=\"{}\"><svg aria-hidden=\"true\"><use href=\"{}\"/></svg>Postpone</a>\n"
      "<nav aria-label=\"Main\">{}</nav>\n{}\n</aside>\n<div class=\"main\">\n{}\n"
      "<main class=\"page\" id=\"content\">\n{}\n</main>\n{}\n</div>\n</div>\n{}\n</body>\n</html>\n",
      document_head(page, options), symbols(), Link("#content"), Link("/"), Link("#logo"),
      navigation(page.section), side_foot(page, options), top(page, options), page.main, foot(page), keys());
  return document.text();
}

}  // namespace postpone::web
