#!/bin/bash
# Builds the fuzz targets and runs each for a while, with limits on memory and on the time of one input.
#   tests/fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]
# What it finds is left in build/fuzz/fuzz/found/; run the target with that file as argument to see it again.
# VOLANT_TEST_DATA, or ../shared/data beside the checkout, gives real vocabularies as further seeds.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
shift || true
jobs=${VOLANT_JOBS:-$(nproc)}
cmake --preset fuzz >build/fuzz-configure.log 2>&1 || { tail -20 build/fuzz-configure.log; exit 1; }
if (($# > 0)); then
  ninja -C build/fuzz -j"$jobs" make_seeds "${@/%/_fuzz}"
else
  ninja -C build/fuzz -j"$jobs" fuzz_targets
fi
bin=build/fuzz/fuzz
data=${VOLANT_TEST_DATA:-../shared/data}
mkdir -p "$bin/found"
"$bin/make_seeds" "$bin/seeds" "$data"
passed=0
failed=()
for path in "$bin"/*_fuzz; do
  name=$(basename "$path" _fuzz)
  if (($# > 0)) && [[ " $* " != *" $name "* ]]; then continue; fi
  mkdir -p "$bin/corpus/$name" "$bin/seeds/$name"
  log="$bin/$name.log"
  if ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    "$path" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -max_len=65536 \
    -artifact_prefix="$bin/found/$name-" -print_final_stats=1 "$bin/corpus/$name" "$bin/seeds/$name" >"$log" 2>&1; then
    passed=$((passed + 1))
    printf '%-20s %s\n' "$name" "$(grep -o 'stat::number_of_executed_units: *[0-9]*' "$log" | tr -s ' ' | cut -d' ' -f2) inputs"
  else
    failed+=("$name")
    echo "fuzz: $name FAILED; the end of $log:"
    tail -40 "$log"
  fi
done
if ((${#failed[@]} > 0)); then
  echo "fuzz: ${#failed[@]} targets failed: ${failed[*]}"
  exit 1
fi
echo "fuzz: $passed targets passed"
