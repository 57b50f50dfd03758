#!/usr/bin/env bash
# The tests of the lowest rooms on 64-bit ARM: built with Debian's cross compiler, run under qemu, once on a
# processor that has all instructions and once on one without the int8 dot product. The libraries for ARM are
# unpacked to build/neon/sysroot: nothing but the compiler and qemu is installed on the machine.
#
#   scripts/test_neon.sh [NINJA FLAGS]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/packages.sh
out=$PWD/build/neon
log_dir=$PWD/build/logs
mkdir -p "$log_dir" "$out"
install_packages "${neon_packages[@]}"

# apt with lists of its own, so that the machine's architectures stay as they are.
arm_apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Acquire::Languages=none \
    -o Dir::State::lists="$out/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$out/apt" \
    -o APT::Sandbox::User="$(id -un)" "$@"
}

unpack_sysroot() {
  local list="${neon_libraries[*]}" package
  [ "$(cat "$out/sysroot/packages.txt" 2>/dev/null)" = "$list" ] && return
  rm -rf "$out/apt" "$out/sysroot"
  mkdir -p "$out/apt/lists/partial" "$out/apt/archives/partial" "$out/apt/packages"
  arm_apt update && (cd "$out/apt/packages" && arm_apt download "${neon_libraries[@]}") || return 1
  for package in "$out"/apt/packages/*.deb; do dpkg-deb -x "$package" "$out/sysroot" || return 1; done
  rm -rf "$out/apt"
  echo "$list" >"$out/sysroot/packages.txt"
}

unpack_sysroot >"$log_dir/neon.log" 2>&1 || { tail -5 "$log_dir/neon.log"; die "no libraries for arm64"; }
cmake -B "$out" -G Ninja --toolchain cmake/aarch64.cmake -DCMAKE_BUILD_TYPE=Release -DVOLANT_TORCH=OFF \
  -DVOLANT_ONLY_ROOMS='base;tensor;kernels' >"$log_dir/neon.log" 2>&1 ||
  { tail -20 "$log_dir/neon.log"; die "configuring failed"; }
ninja -C "$out" "$@" kernels_test tensor_test

rm -rf "$out/test-results"
status=0
for cpu in max cortex-a53; do
  for program in kernels_test tensor_test; do
    printf '%s on %s\n' "$program" "$cpu"
    qemu-aarch64-static -cpu "$cpu" -L /usr/aarch64-linux-gnu "$out/$program" --gtest_brief=1 \
      --gtest_output="xml:$out/test-results/$program-$cpu.xml" || status=1
  done
done
exit $status
