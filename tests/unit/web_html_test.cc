// What comes into a page, and in which form.
#include <gtest/gtest.h>

#include "web/html/format.h"
#include "web/html/html.h"
#include "web/html/json_colours.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::DatabaseTime;

DatabaseTime at(std::int64_t unix_seconds) {
  return DatabaseTime::from_count((unix_seconds - DatabaseTime::kEpoch) * 1'000'000);
}

TEST(WebHtml, EscapesWhatWouldBeMarkup) {
  EXPECT_EQ(escaped(R"(<script>alert("x" & 'y')</script>)"),
            "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;");
}

TEST(WebHtml, ShowsWhatABrowserWouldObey) {
  EXPECT_EQ(escaped("gpj.exe\xE2\x80\xAE!"), "gpj.exe\\u202e!");
  EXPECT_EQ(escaped("a\x1b[31m\x7f"), "a\\u001b[31m\\u007f");
  EXPECT_EQ(escaped("two\nlines\tand a tab"), "two\nlines\tand a tab");
}

TEST(WebHtml, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(escaped("a\xff<\xc3"), "a\xEF\xBF\xBD&lt;\xEF\xBF\xBD");
}

TEST(WebHtml, FillsPlacesInTheirOrderAndEscapesText) {
  const Html inner = html("<b>{}</b>", "1 < 2");
  EXPECT_EQ(html("<p title=\"{}\">{} {}</p>", "\"", inner, 17).text(),
            "<p title=\"&quot;\"><b>1 &lt; 2</b> 17</p>");
}

TEST(WebHtml, PutsEachOnlyWhereItMayStand) {
  // These do not compile, and are here to say so:
  //   html("<a href=\"{}\">", text)       a Link, and nothing else, stands in href
  //   html("<p {}>", text)               within a tag only an Attribute may stand
  //   html("<p onclick=\"{}\">", text)   scripts hold no values
  //   html(text)                         a form is known when it is compiled
  static_assert(!std::is_constructible_v<Html, std::string>);
  static_assert(!std::is_constructible_v<Literal, std::string>);
  static_assert(!std::is_constructible_v<Link, std::string>);
  EXPECT_EQ(
      html("<a href=\"{}\"{}>x</a>", Link("/jobs").with("q", "a&b=\"c\" ü"), Attribute(" hidden")).text(),
      "<a href=\"/jobs?q=a%26b%3D%22c%22%20%C3%BC\" hidden>x</a>");
}

TEST(WebHtml, KeepsTheEndOfALongName) {
  const std::string lock = "customer:4711/region:eu-central-1/warehouse:hamburg/shipment:2026-000017";
  const std::string text = name(lock).text();
  EXPECT_NE(text.find("<bdi>nt:2026-000017</bdi>"), std::string::npos) << text;
  EXPECT_NE(text.find("title=\"" + lock + "\""), std::string::npos);
  EXPECT_NE(name("").text().find("(empty)"), std::string::npos);
}

TEST(WebHtml, CutsNoCharacterOfAName) {
  std::string umlauts;
  for (int i = 0; i < 40; ++i) umlauts += "ü";
  EXPECT_EQ(name(umlauts).text().find("\xEF\xBF\xBD"), std::string::npos);
}

TEST(WebFormat, WritesNumbersAsPeopleReadThem) {
  EXPECT_EQ(thousands(15293), "15,293");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(-1234567), "-1,234,567");
  EXPECT_EQ(count_text({10'000, true}), "10,000+");
  EXPECT_EQ(about(4'920'000), "≈ 4.9 M");
  EXPECT_EQ(size_text(850), "850 B");
  EXPECT_EQ(size_text(1288490189), "1.2 GiB");
}

TEST(WebFormat, KnowsEveryMomentOfTheDatabase) {
  EXPECT_EQ(utc_text(at(1'764'000'000)), "2025-11-24 16:00:00.000");
  EXPECT_EQ(utc_text(at(951'782'400)), "2000-02-29 00:00:00.000");
  EXPECT_EQ(utc_text(at(-86'401)), "1969-12-30 23:59:59.000");
  EXPECT_EQ(utc_text(DatabaseTime::infinity()), "infinity");
  EXPECT_EQ(iso_text(at(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(ago_text(at(0), at(180)), "3 min ago");
  EXPECT_EQ(ago_text(at(180), at(0)), "in 3 min");
  EXPECT_EQ(ago_text(DatabaseTime::infinity(), at(0)), "never");
}

TEST(WebJson, IndentsAndChangesNoNumber) {
  const std::string text =
      coloured_json(R"({"id": 90071992547409931, "empty": {}, "list": [1e400, "</b>"]})").text();
  EXPECT_NE(text.find("90071992547409931"), std::string::npos);
  EXPECT_NE(text.find("1e400"), std::string::npos);
  EXPECT_NE(text.find("<span class=\"k\">&quot;id&quot;</span>: "), std::string::npos) << text;
  EXPECT_NE(text.find("{}"), std::string::npos) << text;
  EXPECT_NE(text.find("&lt;/b&gt;"), std::string::npos);
}

TEST(WebJson, TakesWhatIsNoJsonAsItIs) {
  for (const char* odd : {"", "\"", "\"\\", "{", "}}]]", "[,,]", "\"<", "nul", "{\"a\"", "\xff"})
    EXPECT_EQ(coloured_json(odd).text().find('<' + std::string("script")), std::string::npos);
}

TEST(WebJson, LimitsWhatItMakes) {
  std::string deep(1000, '[');
  while (deep.size() < std::size_t{39} * 1024) deep += "1,";
  const std::string quotes = std::string(1000, '[') + '"' + std::string(std::size_t{38} * 1024, '\x01') + '"';
  for (const std::string& text : {deep, quotes, std::string(std::size_t{1024} * 1024, '\x01')}) {
    const std::string markup = coloured_json(text).text();
    EXPECT_LT(markup.size(), std::size_t{242} * 1024);
    EXPECT_NE(markup.find("bytes more"), std::string::npos) << text.substr(0, 2000);
  }
}

}  // namespace
}  // namespace postpone::web
