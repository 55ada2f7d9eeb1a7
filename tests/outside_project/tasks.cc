// A task with typed parameters.
#include <libtask/json.h>

#include <iostream>
#include <string>

#include "dishes.h"

int main(int argc, char** argv) {
  libtask::App app;
  app.task(wash, [](const std::string& dish, int times) {
    for (int i = 0; i < times; ++i) std::cout << "washing " << dish << '\n';
  });
  app.task("dishes.dry", [](const std::string& dish) { std::cout << "drying " << dish << '\n'; }, {"dish"});
  return app.run(argc, argv);
}
