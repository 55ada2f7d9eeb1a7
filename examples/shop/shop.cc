// Defers the shop's jobs, and tells what becomes of them.
#include <libtask/client.h>
#include <iostream>
#include <vector>

#include "shop.h"

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  libtask::Client client;
  if (words.at(0) == "order") {
    const std::string customer = words.at(1), image = words.at(3);
    const std::vector<libtask::NewJob> jobs = {
        shop::make_invoice(customer, std::stoll(words.at(2))),
        shop::thumbnail(image, 64).lock(customer),  // a customer's jobs of one lock keep their order
        shop::thumbnail(image, 16).lock(customer),
        shop::call_webhook(words.at(4), R"({"event": "ordered"})").lock(customer)};
    for (const libtask::Deferred& job : client.defer_many(jobs)) std::cout << job.id << '\n';
  } else if (words.at(0) == "transcode") {
    std::cout << client.defer(shop::transcode(words.at(1))).id << '\n';
  } else {
    const std::int64_t id = std::stoll(words.at(1));
    if (words.at(0) == "cancel") client.abort(id);
    const auto end = client.wait_for(id, std::chrono::minutes(1));
    std::cout << (end ? to_string(*end) : "not ended yet") << ' ' << client.result(id).value_or("") << '\n';
  }
} catch (const std::exception& error) {
  std::cerr << "shop: " << error.what()
            << "\nusage: shop order CUSTOMER CENTS IMAGE URL | transcode FILE | cancel JOB | wait JOB\n";
  return 2;
}
