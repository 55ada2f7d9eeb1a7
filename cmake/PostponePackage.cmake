# The Debian packages: `postpone` (programs, service, documents) and `libtask-dev` (what task executables are built with).
# scripts/package builds and checks them. REQUIRES, for packages: CMAKE_INSTALL_PREFIX is /usr.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME postpone)
set(CPACK_PACKAGE_CONTACT "Postpone maintainers <postpone@lists.invalid>" CACHE STRING
    "Who the packages say maintains them")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # or it is put in front of the synopses below
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME postpone)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS tzdata)   # for schedules in a time zone
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "postgresql, libtask-dev")
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION
    "task queue in PostgreSQL for native code
Postpone runs jobs later, in native code, out of a PostgreSQL database: a
job is a row, created with one SQL call. A supervisor hears of it at the
commit, and one of its sub-workers runs it in a task executable, a program
that links libtask. A crash costs one job. The tables are those of the
Python project Procrastinate, and its clients share the database.
.
This package holds the supervisor, the command line, a web page for
operators and a systemd service.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtask-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "g++ | c++-compiler")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS "libpq-dev, nlohmann-json3-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "postpone, cmake")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
    "library for task executables of the queue Postpone
A task executable holds the handlers of a queue's jobs, and is run by
Postpone's sub-workers. libtask is all that it needs: headers, a static
library and the files for CMake's find_package(postpone).
.
<libtask/json.h>, for typed parameters, includes nlohmann-json, and
programs that defer jobs with <libtask/client.h> link libpq.")

set(scripts ${PROJECT_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# What every Debian package has. Only where packages can be made: gzip, and documents where Debian has them.
if(CMAKE_INSTALL_PREFIX STREQUAL /usr AND POSTPONE_GZIP)
  configure_file(packaging/debian/changelog packaging/changelog.Debian @ONLY)
  set(changelog ${CMAKE_CURRENT_BINARY_DIR}/packaging/changelog.Debian.gz)
  execute_process(COMMAND ${POSTPONE_GZIP} -9nc packaging/changelog.Debian
                  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} OUTPUT_FILE ${changelog} COMMAND_ERROR_IS_FATAL ANY)
  install(FILES packaging/debian/copyright ${changelog} DESTINATION share/doc/postpone COMPONENT programs)
  install(FILES packaging/debian/copyright ${changelog} DESTINATION share/doc/libtask-dev COMPONENT development)
  # Configurations, for root and the service; the postinst sets owner and mode.
  install(DIRECTORY DESTINATION /etc/postpone COMPONENT programs)
endif()

include(CPack)
