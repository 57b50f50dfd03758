# What Volant needs from Debian 12, and how to get it. Sourced by quickstart and check.

build_packages=(
  build-essential cmake ninja-build mold ccache pkg-config
  libtorch-dev libgloo-dev libdnnl-dev libopenblas-dev
  libboost1.81-dev libboost-json1.81-dev libssl-dev libcurl4-openssl-dev
  libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev
  libsqlite3-dev zlib1g-dev libzstd-dev libxxhash-dev libpng-dev libturbojpeg0-dev
  libicu-dev libpcre2-dev libcld2-dev libgumbo-dev libsentencepiece-dev
  libxgboost-dev liblinear-dev
)
example_packages=(fortunes fortunes-zh)
test_packages=(libgtest-dev libgmock-dev librapidcheck-dev chromium clang-format clang-tidy clang-19 libclang-rt-19-dev python3)
# ./check --cluster, besides those to build and test
cluster_packages=(iproute2 procps slurmctld slurmd slurm-client munge openmpi-bin python3-torch)
# scripts/test_neon.sh: what it installs, and what it unpacks for arm64
neon_packages=(g++-aarch64-linux-gnu qemu-user-static cmake ninja-build ccache pkg-config python3)
neon_libraries=(
  libboost1.81-dev libboost-{json,container,system}1.81{-dev,.0} libssl-dev libssl3 libxxhash-dev libxxhash0
  libfmt-dev libfmt9 libspdlog-dev libspdlog1.10 libgtest-dev libgmock-dev
)

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "installing packages needs root: run this as root, or install sudo. Missing: ${missing[*]}"
  fi
}

# Node 18 or newer with npm, from wherever it comes; Debian 12's own will do.
node_is_enough() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 18 ]
}

# install_packages PACKAGE...: installs those that are missing, and says which.
install_packages() {
  local package
  missing=()
  for package in "$@"; do
    case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" in
      installed) ;;
      *) missing+=("$package") ;;
    esac
  done
  node_is_enough || missing+=(nodejs npm)
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null ||
    die "this script installs with apt (Debian 12 or newer); without it, install these yourself: ${missing[*]}"
  printf 'Installing with apt: %s\n' "${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -qq || die "'apt-get update' failed: is a Debian mirror reachable?"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >"$log_dir/apt.log" 2>&1 || {
    tail -5 "$log_dir/apt.log" >&2
    die "could not install: ${missing[*]} (the whole log is $log_dir/apt.log)"
  }
}
