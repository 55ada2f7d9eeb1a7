// Unit tests of tasks, with GoogleTest: handlers run in the test, without a database (<libtask/testing.h>).
#include "invoice_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/testing.h>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using libtask::testing::Harness;
using libtask::testing::Outcome;
using libtask::testing::run;
using libtask::testing::Status;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A mail provider that answers as the test says, 200 when it says nothing.
class FakeMailer : public Mailer {
 public:
  int send(const std::string& to, const std::string& text) override {
    sent.push_back(to + ": " + text);
    if (answers.empty()) return 200;
    const int answer = answers.front();
    answers.erase(answers.begin());
    return answer;
  }

  std::vector<int> answers;
  std::vector<std::string> sent;
};

class Invoices : public ::testing::Test {
 protected:
  Invoices() { add_invoice_tasks(app, mailer); }

  libtask::App app;
  FakeMailer mailer;
};

// --- one handler ---------------------------------------------------------------------------------------

TEST_F(Invoices, WritingOneDefersItsMail) {
  const Outcome outcome = run(app, "invoice.write", {{"customer", "ann"}, {"cents", 1250}});
  ASSERT_EQ(outcome.status, Status::succeeded) << outcome;
  ASSERT_THAT(outcome.defers, SizeIs(1));
  EXPECT_EQ(outcome.defers[0].args, R"({"to":"ann","text":"Please pay 1250 cents."})");
  EXPECT_EQ(outcome.defers[0].queue, "mail");
  EXPECT_EQ(outcome.defers[0].lock, "mail to ann");
  EXPECT_THAT(mailer.sent, IsEmpty()) << "a deferred job has not run";
}

TEST_F(Invoices, AnInvoiceOverNothingFailsForGood) {
  const Outcome outcome = run(app, "invoice.write", {{"customer", "ann"}, {"cents", 0}});
  EXPECT_EQ(outcome.cause, libtask::testing::Cause::bad_arguments) << outcome;
  EXPECT_THAT(outcome.defers, IsEmpty());
}

TEST_F(Invoices, AProviderThatWantsAPauseGetsIt) {
  mailer.answers = {429};
  const Outcome outcome = run(app, "invoice.send", {{"to", "ann"}, {"text", "hello"}});
  ASSERT_TRUE(outcome.retry) << outcome;
  EXPECT_EQ(outcome.retry->in, 60s);
}

TEST_F(Invoices, ABrokenProviderIsTriedFourTimes) {
  mailer.answers = {500, 500, 500, 500};
  const libtask::testing::Call send("invoice.send", {{"to", "ann"}, {"text", "hello"}});
  EXPECT_EQ(run(app, send, {.attempt = 1}).retry->in, 2s);
  EXPECT_EQ(run(app, send, {.attempt = 2}).retry->in, 4s);
  EXPECT_EQ(run(app, send, {.attempt = 3}).retry->in, 8s);
  EXPECT_EQ(run(app, send, {.attempt = 4}).status, Status::failed);
}

TEST_F(Invoices, RemindingStopsWhenItShould) {
  const Outcome outcome =
      run(app, "invoice.remind", {{"customers", std::vector<std::string>{"ann", "bob", "cy"}}},
          {.abort_at_look = 3});
  EXPECT_EQ(outcome.status, Status::aborted) << outcome;
  EXPECT_THAT(mailer.sent, SizeIs(2));
  EXPECT_EQ(outcome.progress->done, 2U);
}

// --- jobs that lead to others --------------------------------------------------------------------------

TEST_F(Invoices, MailsToOneCustomerKeepTheirOrderWhenOneIsSentLater) {
  mailer.answers = {429};
  Harness harness(app);
  harness.defer("invoice.write", {{"customer", "ann"}, {"cents", 1}});
  harness.defer("invoice.write", {{"customer", "ann"}, {"cents", 2}});
  harness.defer("invoice.write", {{"customer", "bob"}, {"cents", 3}});
  harness.work();
  EXPECT_THAT(mailer.sent, ElementsAre("ann: Please pay 1 cents.", "bob: Please pay 3 cents."));
  harness.advance(60s);
  EXPECT_THAT(mailer.sent, ElementsAre("ann: Please pay 1 cents.", "bob: Please pay 3 cents.",
                                       "ann: Please pay 1 cents.", "ann: Please pay 2 cents."));
  EXPECT_THAT(harness.with(Status::todo), IsEmpty());
}

}  // namespace
