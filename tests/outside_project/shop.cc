// A program that defers jobs, and links no task.
#include <libtask/client.h>

#include <iostream>

#include "dishes.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cout << wash("plate", 2).args().text() << '\n';
    return 0;
  }
  libtask::Client client(argv[1]);
  std::cout << client.defer(wash("plate", 2)).id << '\n';
}
