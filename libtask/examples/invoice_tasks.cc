#include "invoice_tasks.h"

#include <libtask/json.h>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <vector>

namespace {

using namespace std::chrono_literals;

// Mails to one customer keep their order: they have one lock.
void write_invoice(libtask::Context& job, const std::string& customer, int cents) {
  if (cents <= 0) throw libtask::BadArguments("an invoice over " + std::to_string(cents) + " cents");
  const std::string text = "Please pay " + std::to_string(cents) + " cents.";
  job.defer("invoice.send", {{"to", customer}, {"text", text}}, {.lock = "mail to " + customer});
}

void send_invoice(Mailer& mailer, const std::string& to, const std::string& text) {
  const int status = mailer.send(to, text);
  if (status == 429) throw libtask::Retry{60s, "the mail provider wants a pause"};
  if (status >= 500) throw std::runtime_error("the mail provider answers " + std::to_string(status));
  std::cout << "sent to " << to << '\n';
}

void remind(libtask::Context& job, Mailer& mailer, const std::vector<std::string>& customers) {
  for (std::size_t i = 0; i < customers.size(); ++i) {
    if (job.should_abort()) throw libtask::Aborted{};
    mailer.send(customers[i], "Please pay now.");
    job.progress(i + 1, customers.size());
  }
}

}  // namespace

void add_invoice_tasks(libtask::App& app, Mailer& mailer) {
  app.task("invoice.write", write_invoice, {"customer", "cents"}).queue("invoices");
  app.task("invoice.send",
           [&mailer](const std::string& to, const std::string& text) { send_invoice(mailer, to, text); },
           {"to", "text"})
      .queue("mail")
      .retry({.max_attempts = 3, .exponential_wait = 2s});
  app.task("invoice.remind",
           [&mailer](libtask::Context& job, const std::vector<std::string>& customers) {
             remind(job, mailer, customers);
           },
           {"customers"})
      .queue("mail")
      .time_limit(10min);
}
