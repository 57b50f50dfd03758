#!/bin/bash
# Builds the trainer against the libtorch inside of a Python's torch, with its CUDA and NCCL.
#   bench/train/build_cuda.sh [TARGET...]   default: volant-train bench_train
#     PYTHON=a python3 with torch (pip's 2.7 or newer, or one made for the C++11 ABI), BUILD=folder (default build/cuda)
#     DEPS=folder with the other libraries, made by pack_deps.sh for a machine without a network (default: deps, or
#     what deps.tar.xz in the root of the source holds); without one they are the system's
# Needs cmake 3.25, ninja and g++ 12 or newer (CXX names another), and but for DEPS the packages below.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
PYTHON=${PYTHON:-python3} build=${BUILD:-$root/build/cuda}
[ $# -gt 0 ] || set -- volant-train bench_train
fail() { echo "build_cuda.sh: $*" >&2; exit 1; }

torch=$("$PYTHON" -c 'import os, torch; print(os.path.dirname(torch.__file__))') || fail "$PYTHON has no torch; PYTHON names another one"
[ -f "$torch/lib/libtorch_cpu.so" ] && [ -d "$torch/include/ATen" ] ||
  fail "$torch has no lib/libtorch_cpu.so and include/ATen: expected a torch of pip (Debian's python3-torch keeps them elsewhere)"
"$PYTHON" -c 'import sys, torch; sys.exit(0 if torch.compiled_with_cxx11_abi() else 1)' ||
  fail "$PYTHON's torch is made for the C++ ABI of before C++11: expected pip's torch 2.7 or newer"
for tool in cmake ninja "${CXX:-g++}"; do
  command -v "$tool" >/dev/null || fail "expected the program '$tool' (pip has cmake and ninja too)"
done
[ "$("${CXX:-g++}" -dumpversion | cut -d. -f1)" -ge 12 ] || fail "expected g++ 12 or newer; CXX names another one"

options=(-DCMAKE_BUILD_TYPE=Release -DVOLANT_TESTS=OFF -DVOLANT_CONSOLE=OFF -DVOLANT_WERROR=OFF -DVOLANT_LIBTORCH="$torch")
DEPS=${DEPS:-$root/deps}
if [ ! -d "$DEPS" ] && [ -f "$root/deps.tar.xz" ]; then
  mkdir -p "$DEPS"
  "$PYTHON" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$root/deps.tar.xz" "$DEPS"
fi
if [ -d "$DEPS" ]; then
  DEPS=$(realpath "$DEPS")
  lib=$(echo "$DEPS"/usr/lib/*-linux-gnu)
  export CMAKE_PREFIX_PATH=$DEPS/usr CPATH=$DEPS/usr/include:$DEPS/usr/include/${lib##*/} LIBRARY_PATH=$lib
  export PKG_CONFIG_SYSROOT_DIR=$DEPS PKG_CONFIG_LIBDIR=$lib/pkgconfig:$DEPS/usr/share/pkgconfig
  if ! command -v pkg-config >/dev/null; then
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$lib" "$DEPS/usr/bin/pkgconf" >"$DEPS/usr/bin/pkg-config"
    chmod +x "$DEPS/usr/bin/pkg-config"
    export PKG_CONFIG=$DEPS/usr/bin/pkg-config
  fi
  # Found by the program's path, what each library needs too.
  options+=(-DCMAKE_EXE_LINKER_FLAGS="-Wl,--disable-new-dtags,-rpath,$lib,--allow-shlib-undefined" -DOPENSSL_ROOT_DIR="$DEPS/usr")
fi
mkdir -p "$(dirname "$build")"
cmake -G Ninja -S "$root" -B "$build" "${options[@]}" >"$build.configure.log" 2>&1 || {
  tail -15 "$build.configure.log" >&2
  fail "configuring failed (the whole log: $build.configure.log). Debian 12 has what is missing in the packages of scripts/packages.sh; Ubuntu 24.04: the same with libboost-dev libboost-json-dev in place of libboost1.81-dev libboost-json1.81-dev, and without libtorch-dev"; }
grep -h '^-- GPUs' "$build.configure.log" || true
ninja -C "$build" "$@"
