// libsentencepiece beside libtorch in one process. Both bring protobuf, in different versions and under the
// same names: linked in the plain way, one calls into the other's and the program dies before main. So
// programs with libtorch do not link libsentencepiece: it is loaded when the program starts, with its own
// symbols first (RTLD_DEEPBIND), and the few functions that text/ calls are jumps into it. A new call shows
// as an undefined symbol at link time; add it to the list.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#define VOLANT_SENTENCEPIECE_FUNCTIONS(X)                                                                            \
  X(0, _ZN13sentencepiece22SentencePieceProcessorC1Ev)                                                               \
  X(1, _ZN13sentencepiece22SentencePieceProcessorD1Ev)                                                               \
  X(2,                                                                                                               \
    _ZN13sentencepiece22SentencePieceProcessor23LoadFromSerializedProtoESt17basic_string_viewIcSt11char_traitsIcEE)  \
  X(3,                                                                                                               \
    _ZNK13sentencepiece22SentencePieceProcessor6EncodeESt17basic_string_viewIcSt11char_traitsIcEEPSt6vectorIiSaIiEE) \
  X(4, _ZNK13sentencepiece4util6Status8ToStringB5cxx11Ev)                                                            \
  X(5, _ZN13sentencepiece4util6StatusD1Ev)

extern "C" {
__attribute__((visibility("hidden"))) void* volant_sentencepiece_functions[6];
}

#if defined(__x86_64__)
#define VOLANT_JUMP(index, name)           \
  asm(".globl " #name                      \
      "\n"                                 \
      ".hidden " #name                     \
      "\n"                                 \
      ".type " #name ", @function\n" #name \
      ":\n"                                \
      "endbr64\n"                          \
      "jmp *volant_sentencepiece_functions+8*" #index "(%rip)\n");
#elif defined(__aarch64__)
#define VOLANT_JUMP(index, name)                                      \
  asm(".globl " #name                                                 \
      "\n"                                                            \
      ".hidden " #name                                                \
      "\n"                                                            \
      ".type " #name ", @function\n" #name                            \
      ":\n"                                                           \
      "adrp x16, volant_sentencepiece_functions+8*" #index            \
      "\n"                                                            \
      "ldr x16, [x16, :lo12:volant_sentencepiece_functions+8*" #index \
      "]\n"                                                           \
      "br x16\n");
#endif
asm(".text\n");
VOLANT_SENTENCEPIECE_FUNCTIONS(VOLANT_JUMP)

namespace {

__attribute__((constructor)) void load() {
  void* library = ::dlopen("libsentencepiece.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  const auto find = [library](int index, const char* name) {
    void* function = library == nullptr ? nullptr : ::dlsym(library, name);
    if (function == nullptr) {
      std::fprintf(stderr, "cannot load libsentencepiece: %s\n", ::dlerror());
      std::abort();
    }
    volant_sentencepiece_functions[index] = function;
  };
#define VOLANT_FIND(index, name) find(index, #name);
  VOLANT_SENTENCEPIECE_FUNCTIONS(VOLANT_FIND)
}

}  // namespace
