// Defers the shop's jobs, and looks after them.
#include "shop.h"

#include <libtask/client.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const char* const url = std::getenv("POSTPONE_DATABASE_URL");
  libtask::Client client(url != nullptr ? url : "");
  std::vector<libtask::NewJob> jobs;
  if (words.at(0) == "order") {
    const std::string customer = "customer " + words.at(1);  // a customer's jobs of one lock keep their order
    jobs = {shop::make_invoice(words.at(1), std::stoll(words.at(2))),
            shop::make_thumbnail(words.at(3), 64).lock(customer),
            shop::make_thumbnail(words.at(3), 16).lock(customer),
            shop::call_webhook(words.at(4), R"({"event": "ordered"})").lock(customer)};
  } else if (words.at(0) == "transcode") {
    jobs = {shop::transcode(words.at(1))};
  } else if (words.at(0) == "cancel") {
    return client.abort(std::stoll(words.at(1))) ? 0 : 1;
  }
  for (const libtask::Deferred& job : client.defer_many(jobs)) std::cout << job.id << '\n';
  constexpr std::array kStatus{"todo", "doing", "succeeded", "failed", "cancelled", "aborted"};
  for (std::size_t i = 1; words.at(0) == "wait" && i < words.size(); ++i) {
    const std::int64_t id = std::stoll(words[i]);
    const auto status = client.wait_for(id, 60s);
    std::cout << id << ' ' << (status ? kStatus.at(static_cast<std::size_t>(*status)) : "unknown") << ' '
              << client.result(id).value_or("") << '\n';
  }
} catch (const std::exception& error) {
  std::cerr << "shop: " << error.what()
            << "\nusage: shop order CUSTOMER CENTS IMAGE URL | transcode FILE | cancel JOB | wait JOB…\n";
  return 2;
}
