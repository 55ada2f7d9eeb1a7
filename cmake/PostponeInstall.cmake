# What `cmake --install` puts where, and the package that find_package(postpone) finds. Two components, which are the two
# Debian packages of PostponePackage.cmake: `programs` and `development`. All that it takes from the build directory is built by
# the target `installed`, for scripts that do not build everything (scripts/demo).
include(CMakePackageConfigHelpers)

set(POSTPONE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/postpone)

# The supervisor finds the sub-worker's program next to its own.
install(TARGETS postpone postpone-supervisor postpone-web RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
# Users execute it and do not read it: what a process cannot read of its own program, the kernel lets no other process
# of the same user look into, from exec on.
install(TARGETS postpone-subworker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs
        PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_EXECUTE WORLD_EXECUTE)

set_target_properties(libtask PROPERTIES EXPORT_NAME libtask)
install(TARGETS libtask EXPORT postpone-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
# In a file of its own: it refers to libpq's target, which a project that only writes tasks need not have.
set_target_properties(postpone_client PROPERTIES EXPORT_NAME client)
install(TARGETS postpone_client EXPORT postpone-client-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT postpone-client-targets NAMESPACE postpone:: DESTINATION ${POSTPONE_PACKAGE_DIR} COMPONENT development)
install(DIRECTORY libtask/include/libtask DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.h")

install(EXPORT postpone-targets NAMESPACE postpone:: DESTINATION ${POSTPONE_PACKAGE_DIR} COMPONENT development)
configure_package_config_file(cmake/postpone-config.cmake.in postpone-config.cmake
                              INSTALL_DESTINATION ${POSTPONE_PACKAGE_DIR})
write_basic_package_version_file(postpone-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/postpone-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/postpone-config-version.cmake
        DESTINATION ${POSTPONE_PACKAGE_DIR} COMPONENT development)

# The documents lie as they do in the tree, so that their links lead somewhere.
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(FILES config/reference.toml DESTINATION ${CMAKE_INSTALL_DOCDIR}/config COMPONENT programs)
install(FILES packaging/prometheus-rules.yml packaging/grafana-dashboard.json
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT programs)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs
        FILES_MATCHING PATTERN "*.md" PATTERN "*.schema.json" PATTERN "openapi.json" PATTERN "*.svg" PATTERN "web-*.png")
install(DIRECTORY examples/python examples/shop DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples USE_SOURCE_PERMISSIONS COMPONENT programs
        PATTERN __pycache__ EXCLUDE)
install(FILES packaging/logrotate/postpone DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples RENAME logrotate COMPONENT programs)

# Manual pages, and completion where each shell looks. zsh of Debian looks elsewhere for what packages bring.
set(POSTPONE_ZSH_COMPLETION_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING
    "Where zsh looks for completion functions")
foreach(page postpone.1 postpone-supervisor.8 postpone-web.8 postpone.toml.5)
  string(REGEX MATCH "[0-9]$" section ${page})
  if(POSTPONE_GZIP)
    string(APPEND page .gz)
  endif()
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/packaging/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
          COMPONENT programs)
endforeach()
foreach(program postpone postpone-supervisor postpone-web)
  set(script ${CMAKE_CURRENT_BINARY_DIR}/packaging/${program})
  install(FILES ${script}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program}
          COMPONENT programs)
  install(FILES ${script}.zsh DESTINATION ${POSTPONE_ZSH_COMPLETION_DIR} RENAME _${program} COMPONENT programs)
  install(FILES ${script}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT programs)
endforeach()

# The service. Where systemd looks, beneath any prefix that it knows (/usr, /usr/local).
configure_file(packaging/postpone@.service.in packaging/postpone@.service @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/packaging/postpone@.service
        DESTINATION lib/systemd/system COMPONENT programs)
install(FILES packaging/sysusers.conf DESTINATION lib/sysusers.d RENAME postpone.conf COMPONENT programs)
install(FILES packaging/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME postpone.conf COMPONENT programs)

add_custom_target(installed DEPENDS postpone postpone-supervisor postpone-web postpone-subworker libtask postpone_client postpone-pages)
