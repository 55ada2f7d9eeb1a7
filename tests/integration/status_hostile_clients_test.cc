// Clients of the status socket that mean no good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/status_client.h"
#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"

namespace postpone::tests {
namespace {

using testing::StartsWith;

TEST_F(Status, TwoHundredWhoNeverSayAWordKeepNobodyOut) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  std::vector<Client> silent;
  for (int i = 0; i < 200; ++i) silent.emplace_back(path());
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  EXPECT_EQ(status()["schema_version"], 1);
  defer("misbehave.noop", "m");
  EXPECT_TRUE(eventually([&] { return status()["queues"].size() == 1; }));
  EXPECT_EQ(silent.front().read(), "") << "dropped for those who came later";
}

TEST_F(Status, GarbageIsAnsweredWithAStatusCode) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto say = [&](const std::string& text) {
    Client client(path());
    client.send(text);
    const std::string answer = client.read();
    return answer.substr(0, answer.find('\r'));
  };
  EXPECT_EQ(say("hello?\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say(std::string("\0\1\2\3\xff\xfe\r\n\r\n", 10)), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say("GET /status HTTP/9.9\r\n\r\n"), "HTTP/1.1 505 HTTP Version Not Supported");
  EXPECT_EQ(say("GET /status HTTP/1.1\r\nno colon here\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say("GET /status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(say("POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(say("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, AnEndlessHeaderComesToAnEnd) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client client(path());
  client.send("GET /status HTTP/1.1\r\n");
  int lines = 0;
  while (lines < 100'000 && client.send("X-Endless-" + std::to_string(lines) + ": and on it goes\r\n"))
    ++lines;
  EXPECT_LT(lines, 100'000);
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(Status, ARequestThatDoesNotEndIsTimedOut) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client silent(path());
  Client slow(path());
  slow.send("GET /status HT");
  EXPECT_THAT(slow.read(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_EQ(silent.read(), "");
}

}  // namespace
}  // namespace postpone::tests
