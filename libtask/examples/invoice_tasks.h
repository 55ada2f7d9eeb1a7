// Tasks of an author who tests them. A function registers them, so that a test has them without main(); the
// world outside stands behind an interface, so that a test can say how it behaves.
#pragma once

#include <libtask/task.h>

#include <string>

class Mailer {
 public:
  virtual ~Mailer() = default;
  // Returns the status of the mail provider, as in HTTP: 200 sent, 429 too many for now, 500 and above broken.
  virtual int send(const std::string& to, const std::string& text) = 0;
};

// Tasks invoice.write, invoice.send and invoice.remind. The mailer must outlive the app.
void add_invoice_tasks(libtask::App& app, Mailer& mailer);
