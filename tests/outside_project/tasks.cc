// A task with typed parameters.
#include <libtask/json.h>

#include <iostream>
#include <string>

int main(int argc, char** argv) {
  libtask::App app;
  app.task("dishes.wash",
           [](const std::string& dish, int times) {
             for (int i = 0; i < times; ++i) std::cout << "washing " << dish << '\n';
           },
           {"dish", "times"})
      .queue("kitchen");
  return app.run(argc, argv);
}
