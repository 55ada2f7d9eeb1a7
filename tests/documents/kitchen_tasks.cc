// The tasks that the documents speak of.
#include <libtask/task.h>

#include <iostream>
#include <nlohmann/json.hpp>

struct Plate {
  volatile unsigned grease = 0;
};

namespace {

// Busy until the plate is clean, which takes a hundredth of a second or so.
[[gnu::noinline]] void scrub(Plate& plate) {
  for (plate.grease = 10'000'000; plate.grease > 0;) plate.grease = plate.grease - 1;
}

[[gnu::noinline]] void wash(libtask::Context& job) {
  const auto args = nlohmann::json::parse(job.args());
  Plate plate;
  for (int i = 0; i < args.at("times"); ++i) scrub(plate);
  std::cout << "washed the " << args.at("dish") << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  app.task("dishes.wash", &wash).queue("kitchen");
  return app.run(argc, argv);
}
