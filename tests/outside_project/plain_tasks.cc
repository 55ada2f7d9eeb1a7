// The long form, with the standard library only.
#include <libtask/task.h>

#include <iostream>

int main(int argc, char** argv) {
  libtask::App app;
  app.task("echo", [](libtask::Context& job) { std::cout << job.task() << ' ' << job.args() << '\n'; });
  return app.run(argc, argv);
}
