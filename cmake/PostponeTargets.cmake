# What every target of the tree has in common: one warning level, one include root, one sanitizer switch.

# postpone_target(<target>): applies the common settings to a library or program of this tree.
#
# The files of a target begin with the headers of the target postpone_headers, or of another one that HEADERS names, which
# are compiled once. OWN_HEADERS: without them, as an author's code is compiled.
function(postpone_target target)
  cmake_parse_arguments(TARGET "OWN_HEADERS" "HEADERS" "" ${ARGN})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE -Wall -Wextra $<$<BOOL:${POSTPONE_WERROR}>:-Werror>)
  if(CMAKE_UNITY_BUILD)
    # A type of an unnamed namespace may be a member of a class there: the .cc file that is included is not a header.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
  target_compile_definitions(${target} PRIVATE POSTPONE_VERSION="${PROJECT_VERSION}")
  if(POSTPONE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${POSTPONE_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${POSTPONE_SANITIZE})
  endif()
  if(NOT TARGET_OWN_HEADERS)
    if(NOT TARGET_HEADERS)
      set(TARGET_HEADERS postpone_headers)
    endif()
    target_precompile_headers(${target} REUSE_FROM ${TARGET_HEADERS})
    # ccache compiles what the preprocessor leaves, and needs to see there which headers are compiled already.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()

# postpone_headers(<target> <header> LIBRARIES …): compiles a header for the targets that begin with it.
function(postpone_headers target header)
  cmake_parse_arguments(HEADERS "" "" "LIBRARIES" ${ARGN})
  add_library(${target} OBJECT ${PROJECT_SOURCE_DIR}/cmake/headers/standard.cc)
  postpone_target(${target} OWN_HEADERS)
  target_link_libraries(${target} PRIVATE ${HEADERS_LIBRARIES})
  target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/headers/${header})
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()

# postpone_room(<name> SOURCES ... LIBRARIES ...): a static library for one directory ("room") of the tree. What it
# links is PRIVATE: third-party headers stay in the .cc files of the room.
function(postpone_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(postpone_${name} STATIC ${ROOM_SOURCES})
  postpone_target(postpone_${name})
  target_link_libraries(postpone_${name} PRIVATE ${ROOM_LIBRARIES})
endfunction()
