# A toolchain file for a build that is to show that the steps around it are right, in less than a minute: objects that the build at
# hand has made of the same files are taken from there (reuse-objects), and what must be compiled is not optimised.
set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_CURRENT_LIST_DIR}/reuse-objects")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O0 -DNDEBUG" CACHE STRING "")
