// A library of the system that is loaded when it is first needed: linked in, it would cost every command its
// start.
#pragma once
#include <type_traits>

#include "base/result.h"

namespace volant {

class SharedLibrary {
 public:
  // "libcurl.so.4"; it stays loaded until the program ends. Absent: present() is false.
  explicit SharedLibrary(const char* name);
  // Whether it was loaded and has every function that was looked for.
  bool present() const { return present_; }
  // Sets `function`, a pointer to one, to the function of that name.
  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(symbol(name));
  }

 private:
  void* symbol(const char* name);
  void* library_;
  bool present_;
};

}  // namespace volant
