// Addresses, queries, names of hosts, routes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "web/assets.h"
#include "web/http/hosts.h"
#include "web/http/listen.h"
#include "web/http/live.h"
#include "web/http/url.h"
#include "web/search.h"
#include "web/site.h"

namespace postpone::web {
namespace {

using sql::JobCondition;
using Field = JobCondition::Field;

// ---- url -----------------------------------------------------------------------------------------

TEST(WebUrl, DecodesWhatItEncodes) {
  const std::string text = "a b&c=d?e%f+g/ü\"<>";
  EXPECT_EQ(percent_decoded(percent_encoded(text), true), text);
  EXPECT_EQ(percent_decoded("a%2", true), std::nullopt);
  EXPECT_EQ(percent_decoded("%zz", true), std::nullopt);
  EXPECT_EQ(percent_decoded("a+b", false), "a+b");
}

TEST(WebUrl, ReadsAQuery) {
  const Query query = Query::parse("q=task%3Aa+b&empty=&=x&bad=%&flag&q=second&id=17&nul=%00&odd=%ff");
  EXPECT_EQ(query.get("q"), "task:a b");
  EXPECT_EQ(query.get("empty"), "");
  EXPECT_EQ(query.get("bad"), "");
  EXPECT_EQ(query.get("nul"), "");
  EXPECT_EQ(query.get("odd"), "");
  EXPECT_EQ(query.id("id"), 17);
  EXPECT_EQ(query.id("q"), std::nullopt);
}

TEST(WebUrl, TakesOnlyWholeNumbersForIds) {
  for (const char* wrong : {"", "0", "-1", "1x", " 1", "9223372036854775808", "0x1", "1.0"})
    EXPECT_EQ(parse_id(wrong), std::nullopt) << wrong;
  EXPECT_EQ(parse_id("9223372036854775807"), INT64_MAX);
}

TEST(WebUrl, KnowsAPathOfThisServerFromAnother) {
  EXPECT_TRUE(is_local_path("/jobs?q=a%20b"));
  for (const char* strange :
       {"", "jobs", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x"})
    EXPECT_FALSE(is_local_path(strange)) << strange;
}

// ---- hosts ---------------------------------------------------------------------------------------

TEST(WebHosts, RefusesNamesOfStrangers) {
  const Hosts hosts = Hosts::loopback_and({"Jobs.Example.com"});
  for (const char* ours : {"localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST",
                           "localhost.", "jobs.example.com:443"})
    EXPECT_TRUE(hosts.allow(ours)) << ours;
  for (const char* strange : {"", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080",
                              "[::2]", "[::1", "0.0.0.0:8080", "127.evil"})
    EXPECT_FALSE(hosts.allow(strange)) << strange;
  EXPECT_TRUE(Hosts::any().allow("whatever"));
}

TEST(WebListen, ReadsAnAddress) {
  EXPECT_EQ(parse_address("127.0.0.1:8080").port, "8080");
  EXPECT_EQ(parse_address("[::1]:80").host, "::1");
  EXPECT_EQ(parse_address("localhost:0").host, "127.0.0.1");
  EXPECT_EQ(parse_address("./web.sock").path, "./web.sock");
  EXPECT_TRUE(parse_address("127.1.2.3:1").is_loopback());
  EXPECT_FALSE(parse_address("0.0.0.0:80").is_loopback());
  for (const char* wrong :
       {"8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "name:80", ":80"})
    EXPECT_THROW(parse_address(wrong), ListenError) << wrong;
}

// ---- search --------------------------------------------------------------------------------------

TEST(WebSearch, ReadsWordsAndWritesThemAgain) {
  std::vector<std::string> faults;
  const std::string line =
      "task:invoice.* -queue:mail lock:\"a \\\"b\" id:>17 id:<100 args.customer_id=4711 cause:timed_out";
  const auto conditions = parse_words(line, false, faults);
  EXPECT_TRUE(faults.empty());
  ASSERT_EQ(conditions.size(), 7U);
  EXPECT_EQ(conditions[1], (JobCondition{Field::queue, "mail", "", true}));
  EXPECT_EQ(conditions[2], (JobCondition{Field::lock, "a \"b", "", false}));
  EXPECT_EQ(conditions[3], (JobCondition{Field::id_from, "18", "", false}));
  EXPECT_EQ(conditions[5], (JobCondition{Field::argument, "4711", "customer_id", false}));
  EXPECT_EQ(parse_words(words_of(conditions), false, faults), conditions);
  EXPECT_TRUE(faults.empty());
}

TEST(WebSearch, TakesANumberForAnIdAndAWordForAPartOfATask) {
  std::vector<std::string> faults;
  const auto conditions = parse_words("17 render", false, faults);
  ASSERT_EQ(conditions.size(), 3U);
  EXPECT_EQ(conditions[0], (JobCondition{Field::id_from, "17", "", false}));
  EXPECT_EQ(conditions[1], (JobCondition{Field::id_to, "17", "", false}));
  EXPECT_EQ(conditions[2], (JobCondition{Field::task, "*render*", "", false}));
  EXPECT_EQ(words_of({conditions[0], conditions[1]}), "id:17");
}

TEST(WebSearch, SaysWhatItLeavesOut) {
  std::vector<std::string> faults;
  EXPECT_TRUE(parse_words("id:x task: args.x -id:5", false, faults).empty());
  EXPECT_EQ(faults.size(), 4U);
  faults.clear();
  std::string many;
  for (int i = 0; i < 30; ++i) many += "task:a ";
  EXPECT_EQ(parse_words(many, false, faults).size(), kMostConditions);
  EXPECT_EQ(faults.size(), 10U);
}

TEST(WebSearch, AsksForNoArgumentsThatAreHidden) {
  const Search search = parse_search(
      Query::parse("q=task:a+args.card=4711+-args.card=1+%22args.b=c+d%22&args=card%3D4711"), true);
  ASSERT_EQ(search.jobs.conditions.size(), 1U);
  EXPECT_EQ(search.jobs.conditions[0].field, Field::task);
  EXPECT_EQ(search.faults.size(), 4U);
  EXPECT_EQ(search.faults[0], "args.card=4711 (arguments are hidden)");
}

TEST(WebSearch, KnowsTheFirstIdAndTheLast) {
  for (const char* line : {"id:9223372036854775807", "id:>0", "id:1", "id:<1", "id:>9223372036854775806",
                           "id:>9223372036854775806 id:9223372036854775807"}) {
    std::vector<std::string> faults;
    const auto conditions = parse_words(line, false, faults);
    EXPECT_EQ(words_of(conditions), line);
    EXPECT_TRUE(faults.empty()) << line;
  }
  EXPECT_EQ(words_of({{Field::id_to, "9223372036854775807"}}), "id:<9223372036854775807");
  std::vector<std::string> faults;
  EXPECT_TRUE(parse_words("id:>9223372036854775807 id:0 id:<0", false, faults).empty());
  EXPECT_EQ(faults.size(), 3U);
}

TEST(WebSearch, GoesOnePageAtATime) {
  const Search older = parse_search(Query::parse("status=failed&before=100&after=5"), false);
  EXPECT_EQ(older.jobs.tab, sql::JobSearch::Tab::failed);
  EXPECT_EQ(older.jobs.before, 100);
  EXPECT_EQ(older.jobs.after, std::nullopt);
  const Search odd = parse_search(Query::parse("status=nonsense&before=-3&queue=mail"), false);
  EXPECT_EQ(odd.jobs.before, std::nullopt);
  EXPECT_EQ(odd.faults.size(), 1U);
  EXPECT_EQ(odd.jobs.conditions.size(), 1U);
}

// ---- routes --------------------------------------------------------------------------------------

TEST(WebRoutes, LeadWhereTheySay) {
  EXPECT_EQ(find_route("/jobs/17")->id, 17);
  EXPECT_FALSE(find_route("/jobs/17")->is_json);
  EXPECT_TRUE(find_route("/api/jobs/17")->is_json);
  for (const char* wrong :
       {"/jobs/", "/jobs/0", "/jobs/17/", "/jobs/x", "/nothing", "", "/api", "/api/jobs/x"})
    EXPECT_FALSE(find_route(wrong)) << wrong;
}

TEST(WebRoutes, AreAllInTheDescriptionOfTheApi) {
  const auto description = nlohmann::json::parse(openapi());
  std::set<std::string> described;
  for (const auto& [path, what] : description.at("paths").items()) described.insert(path);
  std::set<std::string> served = {"/api/openapi.json"};
  for (const Route& route : routes()) served.emplace(route.json_path);
  EXPECT_EQ(described, served);
  for (const auto& [path, methods] : description.at("paths").items())
    for (const auto& [method, what] : methods.items())
      EXPECT_EQ(method, "get") << path << " changes something";
}

TEST(WebRoutes, SendNobodyToAnotherServer) {
  Request request;
  request.path = "/theme";
  request.query = Query::parse("theme=dark&back=%2F%2Fevil.example");
  const auto response = answer_at_once(request);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->location, "/");
  EXPECT_EQ(response->set_cookie.substr(0, 11), "theme=dark;");
  request.query = Query::parse("theme=dark%0d%0aX:1&back=%2Fjobs");
  EXPECT_EQ(answer_at_once(request)->set_cookie.substr(0, 7), "theme=;");
}

TEST(WebLive, CarriesMarkupLineByLine) {
  EXPECT_EQ(event_of({"<p>a\nevent: x\r</p>", ""}),
            "event: page\ndata: <p>a\ndata: event: x\ndata: </p>\n\n");
  EXPECT_EQ(event_of({"", "no answer"}), "event: stale\ndata: no answer\n\n");
  const std::string lines(std::size_t{512} * 1024, '\n');
  EXPECT_TRUE(event_of({lines, ""}).starts_with("event: stale\ndata: This page is too long"));
}

TEST(WebCookies, AreReadByTheirNames) {
  EXPECT_EQ(cookie_of("a=b; theme=dark; x=y", "theme"), "dark");
  EXPECT_EQ(cookie_of("mytheme=dark", "theme"), "");
}

}  // namespace
}  // namespace postpone::web
