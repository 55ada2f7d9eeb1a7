# What every target of the tree has in common: one warning level, one include root, one sanitizer switch.

# postpone_target(<target>): applies the common settings to a library or program of this tree.
function(postpone_target target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE -Wall -Wextra $<$<BOOL:${POSTPONE_WERROR}>:-Werror>)
  target_compile_definitions(${target} PRIVATE POSTPONE_VERSION="${PROJECT_VERSION}")
  if(POSTPONE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${POSTPONE_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${POSTPONE_SANITIZE})
  endif()
endfunction()

# postpone_room(<name> SOURCES ... LIBRARIES ...): a static library for one directory ("room") of the tree. What it
# links is PRIVATE: third-party headers stay in the .cc files of the room.
function(postpone_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(postpone_${name} STATIC ${ROOM_SOURCES})
  postpone_target(postpone_${name})
  target_link_libraries(postpone_${name} PRIVATE ${ROOM_LIBRARIES})
endfunction()
