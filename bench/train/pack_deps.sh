#!/bin/bash
# For a GPU machine without a network: the libraries that the trainer is built with, but for libtorch, CUDA and the
# compiler, as this Debian has them, in one file for build_cuda.sh there.
#   bench/train/pack_deps.sh [DEPS.tar.xz]   default: deps.tar.xz in the root of the source
# Programs built with it run where glibc is that of this Debian or newer (Ubuntu 24.04 with Debian 12's).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath "${1:-$root/deps.tar.xz}")
. "$root/scripts/packages.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lib=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
mkdir -p "$work/$lib" "$work/usr/bin"

packages=()
for package in "${build_packages[@]}" pkgconf; do
  case $package in
    build-essential | cmake | ninja-build | mold | ccache | pkg-config | libtorch-dev | libopenblas-dev) ;;
    *) packages+=("$package") ;;
  esac
done
for package in "${packages[@]}"; do
  dpkg-query -L "$package" >/dev/null 2>&1 || { echo "expected the package $package; ./check installs what is missing" >&2; exit 1; }
done
# Their headers include those of other -dev packages; some of these are alternatives, or names that another provides.
packages+=($(dpkg-query -W -f='${Depends}\n' "${packages[@]}" | tr ',|' '\n\n' | sed 's/ *(.*//; s/^ *//; s/:any//' | grep -e '-dev$' |
  grep -v '^libc6\?-dev$\|^libstdc++\|^libgcc' | sort -u))
for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
  dpkg-query -L "$package" 2>/dev/null || true
done | grep -E '^/usr/(include/|bin/pkgconf$|lib/.*(/pkgconfig/|/cmake/|\.so))' | sort -u | while read -r file; do
  [ -d "$file" ] && [ ! -L "$file" ] || echo "${file#/}"
done >"$work/list"
tar -C / -cf - -T "$work/list" | tar -C "$work" -xf -
rm "$work/list"
# What those libraries need in turn, but for the compiler's and glibc's own, by the names by which it is asked for. Of
# these four the trainer's programs need nothing: it is enough that CMake finds them.
for library in "$work/$lib"/*.so* "$work/usr/bin/pkgconf"; do
  case ${library##*/} in libcurl* | libxgboost* | liblinear* | libgloo*) ;; *) ldd "/${library#"$work/"}" 2>/dev/null || true ;; esac
done | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | sort -u |
  grep -vE '^(libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s|libgomp)\.so' | while read -r name path; do
  cp -L "$path" "$work/$lib/$name"
done
# Links to the files of packages of run-time libraries: to the name by which a program asks for them.
for link in "$work/$lib"/*.so*; do
  [ ! -e "$link" ] || continue
  soname=$(objdump -p "/${link#"$work/"}" | awk '$1 == "SONAME" {print $2}')
  [ -f "$work/$lib/$soname" ] || cp -L "/${link#"$work/"}" "$work/$lib/$soname"
  ln -sfn "$soname" "$link"
done
tar -C "$work" -cf - . | xz -T0 -6 >"$out"
echo "$out: $(du -m "$out" | cut -f1) MB. Copy it with the source; there: bench/train/cuda.sh"
