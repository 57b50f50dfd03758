# Compiler, warnings, linker and cache: the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)  # TRY() in base/result.h is a GNU statement expression
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -fno-math-errno -ffp-contract=off)
option(VOLANT_WERROR "Warnings are errors" ON)
if(VOLANT_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ reports false positives for these in optimised std::string and std::vector code.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    add_compile_options(-Wno-stringop-overread -Wno-free-nonheap-object)
  endif()
else()
  # TRY() in base/result.h is one; g++ -Wconversion leaves const-int-float alone too.
  add_compile_options(-Wno-gnu-statement-expression -Wno-implicit-const-int-float-conversion
                      -Wno-implicit-int-float-conversion -Wno-shorten-64-to-32
                      -Wno-deprecated-declarations)  # inside libstdc++ 12's own std::stable_sort
endif()

if(VOLANT_SANITIZE)
  add_compile_options(-fsanitize=${VOLANT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  string(REPLACE "fuzzer-no-link," "" link_sanitize "${VOLANT_SANITIZE}")
  add_link_options(-fsanitize=${link_sanitize})
endif()

find_program(MOLD mold)
if(MOLD AND NOT CMAKE_CROSSCOMPILING)  # a cross g++ would look for a linker of its own
  add_link_options(-fuse-ld=mold)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

# clang-tidy cannot read g++'s precompiled headers; `-DVOLANT_PCH=OFF` gives it a plain build.
option(VOLANT_PCH "Use precompiled headers" ON)
