#!/bin/bash
# Runs every fuzz target side by side for so many seconds (60 without an argument), then prints a table:
#   fuzz/run.sh [SECONDS] [TARGET…]
# Needs a nightly toolchain and `cargo install cargo-fuzz --locked`. Corpora, logs and findings are kept in
# fuzz/corpus, fuzz/logs and fuzz/artifacts, or below FUZZ_DIR. An input may take ten seconds of the wall clock: on a busy
# machine, whose idle time is all that this uses, FUZZ_TIMEOUT should say more. Exit code 1 when something was found.
set -uo pipefail
cd "$(dirname "$0")"
seconds="${1:-60}"
shift || true
dir="${FUZZ_DIR:-.}"
built="${FUZZ_TARGET_DIR:-target}"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)
cargo +nightly fuzz build --target-dir "$built" || exit 2

# One allocation of 64 MiB is a finding; the sanitizer itself takes most of the 512.
# libdeflate has one constant twice.
export ASAN_OPTIONS="quarantine_size_mb=16:detect_leaks=0:detect_odr_violation=0"
[ -d /dev/shm ] && export TMPDIR=/dev/shm
for target in "${targets[@]}"; do
    mkdir -p "$dir/corpus/$target" "$dir/artifacts/$target" "$dir/logs"
    chrt -i 0 nice -n19 "$built/x86_64-unknown-linux-gnu/release/$target" "$dir/corpus/$target" "seeds/$target" \
        -max_total_time="$seconds" -timeout="${FUZZ_TIMEOUT:-10}" -rss_limit_mb=512 -malloc_limit_mb=64 -print_final_stats=1 \
        -artifact_prefix="$dir/artifacts/$target/" >"$dir/logs/$target.log" 2>&1 &
    # In a session of its own a process is nice within that session only.
    [ ! -w "/proc/$!/autogroup" ] || echo 19 >"/proc/$!/autogroup"
done
wait

status=0
printf '%-16s %12s %8s %9s %9s\n' target executions seconds coverage findings
for target in "${targets[@]}"; do
    log="$dir/logs/$target.log"
    runs=$(grep -oP '^stat::number_of_executed_units:\s*\K\d+' "$log" || grep -oP '^#\K\d+' "$log" | tail -1)
    rate=$(grep -oP '^stat::average_exec_per_sec:\s*\K\d+' "$log")
    spent=$(grep -oP '^Done \d+ runs in \K\d+' "$log" || echo $((${runs:-0} / (${rate:-0} > 0 ? rate : 1))))
    covered=$(grep -oP ' cov: \K\d+' "$log" | tail -1)
    found=$(find "$dir/artifacts/$target" -type f | wc -l)
    [ "$found" -eq 0 ] || status=1
    printf '%-16s %12s %8s %9s %9s\n' "$target" "${runs:-0}" "$spent" "${covered:-0}" "$found"
done
exit $status
