// The program of the tasks in invoice_tasks.cc; invoice_tasks_test.cc has their tests.
//
//   ./invoices run invoice.write '{"customer": "ann", "cents": 1250}'
#include <iostream>

#include "invoice_tasks.h"

namespace {

// Prints each mail. Here a program of your own calls its mail provider.
class PrintingMailer : public Mailer {
 public:
  int send(const std::string& to, const std::string& text) override {
    std::cout << "To: " << to << "\n\n" << text << "\n";
    return 200;
  }
};

}  // namespace

int main(int argc, char** argv) {
  PrintingMailer mailer;
  libtask::App app;
  add_invoice_tasks(app, mailer);
  return app.run(argc, argv);
}
