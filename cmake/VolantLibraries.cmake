# Third-party libraries, as imported targets. docs/dependencies.md says why each.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
if(VOLANT_TESTS)
  find_package(GTest REQUIRED)
endif()

# The lowest rooms need no more: few libraries for a cross compiler.
set(higher_rooms ${VOLANT_ONLY_ROOMS})
list(REMOVE_ITEM higher_rooms base tensor kernels)
if(VOLANT_ONLY_ROOMS AND NOT higher_rooms)
  return()
endif()

find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(SQLite3 REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc icu-i18n)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng16)
pkg_check_modules(TURBOJPEG REQUIRED IMPORTED_TARGET libturbojpeg)
pkg_check_modules(GUMBO REQUIRED IMPORTED_TARGET gumbo)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)

# libraries without a CMake or pkg-config file
add_library(volant_cld2 INTERFACE)
# cld2_full holds the tables of all languages; named first, they take the place of the small ones in cld2.
target_link_libraries(volant_cld2 INTERFACE -Wl,--push-state,--no-as-needed,-lcld2_full,-lcld2,--pop-state)
add_library(volant_dnnl INTERFACE)
target_link_libraries(volant_dnnl INTERFACE dnnl)
