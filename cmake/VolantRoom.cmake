# volant_room(NAME [ROOM room] [HEADERS_ONLY] DEPS rooms... LIBS libraries... [TEST_LIBS libraries...]
#             [SOURCES files...] [TESTS files...])
#
# One room of the house: a static library `volant_NAME` from the .cc files of the
# calling folder (all of them, or SOURCES), and a test program `NAME_test` from its
# `*_test.cc` files (all of them, or TESTS when SOURCES are named). The room sees its own headers and those of
# its DEPS as "room/file.h", and no others: each room has an include folder that holds nothing
# but a link to it. A room of several libraries (ops_native, ops_torch) says ROOM in each.
set(VOLANT_INCLUDE_FARM ${CMAKE_SOURCE_DIR}/build/include)

function(volant_room_include room out)
  set(dir ${VOLANT_INCLUDE_FARM}/${room})
  file(MAKE_DIRECTORY ${dir})
  if(NOT EXISTS ${dir}/${room})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${room} ${dir}/${room} SYMBOLIC)
  endif()
  set(${out} ${dir} PARENT_SCOPE)
endfunction()

function(volant_room name)
  cmake_parse_arguments(ROOM "HEADERS_ONLY" "ROOM" "DEPS;LIBS;TEST_LIBS;SOURCES;TESTS" ${ARGN})
  if(NOT ROOM_ROOM)
    set(ROOM_ROOM ${name})
  endif()
  volant_room_include(${ROOM_ROOM} include_dir)

  set(sources ${ROOM_SOURCES})
  set(tests ${ROOM_TESTS})
  if(NOT sources AND NOT ROOM_HEADERS_ONLY)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
    list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cc$")
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  endif()
  set(deps ${ROOM_DEPS})
  list(TRANSFORM deps PREPEND volant_)

  if(sources)
    add_library(volant_${name} STATIC ${sources})
    target_include_directories(volant_${name} PUBLIC ${include_dir})
    target_link_libraries(volant_${name} PUBLIC ${deps} ${ROOM_LIBS})
  else()
    add_library(volant_${name} INTERFACE)
    target_include_directories(volant_${name} INTERFACE ${include_dir})
    target_link_libraries(volant_${name} INTERFACE ${deps} ${ROOM_LIBS})
  endif()
  set_property(GLOBAL APPEND PROPERTY VOLANT_ROOMS ${name})
  set_property(GLOBAL PROPERTY VOLANT_DEPS_${name} ${ROOM_DEPS})

  if(VOLANT_TESTS AND tests)
    volant_test(${name}_test SOURCES ${tests} LIBS volant_${name} ${ROOM_TEST_LIBS})
  endif()
endfunction()

# volant_test(NAME SOURCES files... LIBS libraries...): a GoogleTest program, one ctest entry.
function(volant_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LIBS} volant_test_support GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} --gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
