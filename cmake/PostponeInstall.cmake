# What `cmake --install` puts where, and the package that find_package(postpone) finds.
include(CMakePackageConfigHelpers)

set(POSTPONE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/postpone)

# The supervisor finds the sub-worker's program next to its own.
install(TARGETS postpone postpone-supervisor postpone-subworker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set_target_properties(libtask PROPERTIES EXPORT_NAME libtask)
install(TARGETS libtask EXPORT postpone-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY libtask/include/libtask DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

install(EXPORT postpone-targets NAMESPACE postpone:: DESTINATION ${POSTPONE_PACKAGE_DIR})
configure_package_config_file(cmake/postpone-config.cmake.in postpone-config.cmake
                              INSTALL_DESTINATION ${POSTPONE_PACKAGE_DIR})
write_basic_package_version_file(postpone-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/postpone-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/postpone-config-version.cmake
        DESTINATION ${POSTPONE_PACKAGE_DIR})

install(FILES config/reference.toml README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md"
        PATTERN "*.schema.json")
