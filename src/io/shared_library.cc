#include "io/shared_library.h"

#include <dlfcn.h>

namespace volant {

SharedLibrary::SharedLibrary(const char* name)
    : library_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)), present_(library_ != nullptr) {}

void* SharedLibrary::symbol(const char* name) {
  void* found = library_ == nullptr ? nullptr : ::dlsym(library_, name);
  present_ = present_ && found != nullptr;
  return found;
}

}  // namespace volant
