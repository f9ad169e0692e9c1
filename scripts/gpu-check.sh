#!/usr/bin/env bash
# Everything that a machine with a GPU can tell about unnoise, in one command that needs no network and no compiler there.
#
#   scripts/gpu-check.sh pack [--dev]                  here: builds what is needed into target/gpu-check
#   scripts/gpu-check.sh run OUT [--minutes 9]         there: bash, coreutils, tar, xz, target/gpu-check, the repository's
#       [--parts tests,benches,torch,train]            files, on any x86-64 Linux with a Vulkan driver
#
# run writes at most eight files of at most 16 MB each into OUT, each as soon as possible, so that a run that is cut short
# still tells something: report.md (the tables), log.txt (adapters, tests), bench.jsonl, profiles.tar, torch.jsonl, run.tar
# (a training run: settings, losses, grids of samples, the model in f16) and checkpoint.tar.gz.0 and .1 (to continue the run:
# cat them together).
#
# --small does the minimum of everything; the tests use it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
ROOT=$PWD
PACK="$ROOT/target/gpu-check"
MOST_PACKED=$((50 * 1000 * 1000))
MOST_FILE=$((16 * 1000 * 1000))
TESTS="kernels network generate train cli"

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

# --- pack ---

pack() {
  command -v cargo >/dev/null || fail "packing builds unnoise: install Rust first (https://rustup.rs)"
  rm -rf "$PACK"
  mkdir -p "$PACK"
  local profile=release
  case "${1:-}" in
    '') ;;
    --dev) profile=dev ;;
    *) fail "there is no option $1: --dev" ;;
  esac
  say "building the $profile binary"
  cargo build --locked --profile "$profile" --features train --message-format=json >"$PACK/build.json" || fail "the binary does not build"
  cp "$(executable "$PACK/build.json" unnoise)" "$PACK/unnoise"
  say "building the tests"
  cargo test --locked --features train --no-run --message-format=json >"$PACK/build.json" || fail "the tests do not build"
  for name in $TESTS; do cp "$(executable "$PACK/build.json" "$name")" "$PACK/test-$name" || fail "there is no test $name"; done
  # The tests of the command line run the binary that was built with them.
  cp "$(executable "$PACK/build.json" unnoise)" "$PACK/unnoise-tested"
  rm "$PACK/build.json"
  strip "$PACK"/* || fail "strip is missing: install binutils"
  # The tests contain the same libraries. A dictionary that spans them all stores one copy instead of six.
  tar -C "$PACK" --sort=name -cf - . | xz --lzma2=preset=2,dict=128MiB >"$PACK.tar.xz" || fail "xz is missing: install xz-utils"
  rm "$PACK"/* && mv "$PACK.tar.xz" "$PACK/pack.tar.xz"
  local bytes
  bytes=$(wc -c <"$PACK/pack.tar.xz")
  say "$PACK/pack.tar.xz: $bytes bytes of at most $MOST_PACKED"
  [ "$bytes" -le "$MOST_PACKED" ] || fail "the pack is too large"
}

# executable FILE NAME: the path that cargo gave for a binary or a test.
executable() {
  sed -n "s/.*\"name\":\"$2\".*\"executable\":\"\([^\"]*\)\".*/\1/p" "$1" | tail -n 1
}

# --- run ---

MINUTES=9
SMALL=""
PARTS="tests,benches,torch,train"

# The seconds left of the given time, minus a few to write the end.
left() { echo $((DEADLINE - SECONDS)); }

# within SHARE COMMAND…: for at most that many hundredths of the whole time, and at most the time left.
within() {
  local most=$((MINUTES * 60 * $1 / 100)) now
  shift
  now=$(left)
  [ "$now" -lt "$most" ] && most=$now
  [ "$most" -gt 0 ] || return 124
  timeout --kill-after=5 "$most" "$@"
}

report() { printf '%s\n' "$@" >>"$OUT/report.md"; }

# value JSON KEY: a number or a string of one line of JSON.
value() {
  local rest=${1#*\""$2"\":}
  [ "$rest" != "$1" ] || return 1
  rest=${rest# }
  case "$rest" in
    \"*) rest=${rest#\"} && printf '%s' "${rest%%\"*}" ;;
    *) printf '%s' "${rest%%[,\}]*}" ;;
  esac
}

# cell JSON KEY: the same for a table: a number with four digits, or nothing.
cell() {
  local number
  number=$(value "$1" "$2") && LC_ALL=C printf '%.4g' "$number"
}

# A number of milliseconds as whole microseconds, which bash can calculate with.
microseconds() {
  local whole=${1%%.*} part=000
  case "$1" in *.*) part=${1#*.}000 ;; esac
  case "$1" in *e-*) echo 1 && return ;; esac
  echo $((10#${whole:-0} * 1000 + 10#${part:0:3}))
}

# ratio A B: A / B with two digits.
ratio() {
  local a b
  a=$(microseconds "$1") b=$(microseconds "$2")
  [ "$b" -gt 0 ] || return 1
  printf '%d.%02d' $((a / b)) $((a % b * 100 / b))
}

unpack() {
  local pack="$PACK/pack.tar.xz"
  [ -f "$pack" ] || fail "there is no $pack: run scripts/gpu-check.sh pack where there is a compiler, and bring that file"
  BIN=$(mktemp -d) || fail "no temporary folder"
  trap 'rm -rf "$BIN"' EXIT
  if command -v xz >/dev/null; then
    xz -dc "$pack" | tar -C "$BIN" -xf - || fail "$pack is damaged: pack again"
  else
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$pack" "$BIN" || fail "unpacking $pack needs xz or python3"
  fi
  UNNOISE="$BIN/unnoise"
}

# Part 1: what the machine has.
adapters() {
  report "# GPU check" "" "$(date -u +%Y-%m-%d), $(uname -srm), \`scripts/gpu-check.sh run --minutes $MINUTES${SMALL:+ --small}\`" ""
  if ! "$UNNOISE" info --adapters >"$OUT/log.txt" 2>&1; then
    report "There is no adapter:" "" '```' "$(cat "$OUT/log.txt")" '```'
    fail "no Vulkan adapter: see $OUT/log.txt"
  fi
  command -v nvidia-smi >/dev/null && nvidia-smi >>"$OUT/log.txt" 2>&1
  report '```' "$(head -n 40 "$OUT/log.txt")" '```' ""
}

# Part 2: the whole test suite on this GPU.
tests() {
  local name log status passed=0 failed=0 broken="" filter=()
  # With --small: some kernels and the errors of the command line.
  [ -n "$SMALL" ] && filter=(copy)
  report "## Tests" ""
  : >"$BIN/gpu-tests"
  for name in $TESTS; do
    log="$BIN/tests-$name.txt"
    CARGO_MANIFEST_DIR="$ROOT" CARGO_BIN_EXE_unnoise="$BIN/unnoise-tested" REQUIRE_GPU=1 GPU_TEST_LOG="$BIN/gpu-tests" \
      within 40 "$BIN/test-$name" "${filter[@]}" >"$log" 2>&1
    status=$?
    { echo "=== $name: exit status $status"; cat "$log"; } | head -c 3000000 >>"$OUT/log.txt"
    passed=$((passed + $(grep -c '^test .* \.\.\. ok$' "$log")))
    failed=$((failed + $(grep -c '^test .* \.\.\. FAILED$' "$log")))
    [ "$status" = 124 ] && broken="$broken $name (out of time)"
    [ "$status" != 0 ] && [ "$status" != 124 ] && broken="$broken $name"
  done
  report "$passed passed, $failed failed; $(sort -u "$BIN/gpu-tests" | wc -l) of them ran on the GPU.${broken:+ Not whole:$broken.}" ""
  grep -h '^test .* \.\.\. FAILED$' "$OUT/log.txt" | sed 's/^/    /' >>"$OUT/report.md"
  report ""
}

# bench LABEL ARGUMENT…: one measurement, its JSON and its profile.
bench() {
  local label=$1 profile line
  shift
  profile="$BIN/profiles/${label// /-}.csv"
  if ! line=$(within 15 "$UNNOISE" bench --json --profile "$profile" "$@" 2>"$BIN/stderr"); then
    report "| $label | not measured: $(tail -n 1 "$BIN/stderr" | cut -c 1-80) | | | | |"
    return
  fi
  printf '{"what": "%s", "with": "unnoise", %s\n' "$label" "${line#\{}" >>"$OUT/bench.jsonl"
  report "| $label | $(cell "$line" ms) | $(cell "$line" gflop_per_s) | $(cell "$line" fma_share) | $(cell "$line" dispatches) | $(cell "$line" copy_gb_per_s) |"
}

# Part 3: evaluations and training steps.
benches() {
  local batch class batches="1 16 128"
  [ -n "$SMALL" ] && batches=1
  mkdir -p "$BIN/profiles"
  report "## Speed" "" "| what | ms | GFLOP/s | share of the FMA rate | dispatches | copy, GB/s |" "|---|---|---|---|---|---|"
  for batch in $batches; do bench "emoji-16 batch $batch" www/models/emoji-16 --batch "$batch"; done
  if [ -z "$SMALL" ]; then
    for batch in $batches; do bench "cifar10-32 batch $batch" --network cifar10-32 --batch "$batch"; done
    for batch in 16 128; do bench "train cifar10 batch $batch" --train --preset ddpm-cifar10 --batch "$batch"; done
    for batch in $batches; do bench "celebahq-256 batch $batch" --network celebahq-256 --batch "$batch"; done
    for class in integrated apu apple discrete-intel discrete; do
      bench "cifar10-32 batch 16 $class kernels" --network cifar10-32 --batch 16 --kernels "$class"
    done
  else
    bench "train emoji-tiny batch 2" --train --preset emoji-tiny --batch 2
  fi
  report ""
  tar -cf - -C "$BIN" profiles | head -c "$MOST_FILE" >"$OUT/profiles.tar"
}

# Part 4: the same networks in PyTorch.
torch() {
  local what with ms ours line
  report "## PyTorch" ""
  if ! python3 -c 'import torch' 2>/dev/null; then
    report "python3 has no torch here: not compared." ""
    return
  fi
  # The last measurement may take longer than the time left.
  within 40 python3 tests/torch/gpu_bench.py --unnoise "$UNNOISE" --seconds "$((MINUTES * 60 * 25 / 100))" ${SMALL:+--small} \
    >"$OUT/torch.jsonl" 2>"$BIN/stderr" || report "Not whole." ""
  cat "$BIN/stderr" >>"$OUT/log.txt"
  grep -a 'outputs\|no time' "$BIN/stderr" | cut -c 1-120 | sed 's/^/    /' >>"$OUT/report.md"
  report ""
  report "| what | with | ms | PyTorch time / ours |" "|---|---|---|---|"
  while IFS= read -r line; do
    what=$(value "$line" what) with=$(value "$line" with) ms=$(value "$line" ms) || continue
    ours=$(grep -F "\"what\": \"$what\"" "$OUT/bench.jsonl" | head -n 1)
    report "| $what | $with | $ms | $([ -n "$ours" ] && ratio "$ms" "$(value "$ours" ms)") |"
  done <"$OUT/torch.jsonl"
  report ""
}

# Part 5: a training run, for as long as there is time.
train() {
  local run="$BIN/run" seconds steps=""
  seconds=$(($(left) - 20))
  report "## Training" ""
  [ -n "$SMALL" ] && steps="--max-steps 3 --set training.batch_size=2 --set sampling.every=0" && seconds=60
  if [ "$seconds" -lt 20 ]; then
    report "No time was left to train." ""
    return
  fi
  # shellcheck disable=SC2086
  timeout --kill-after=10 --signal=INT "$((seconds + 10))" "$UNNOISE" train --preset emoji-tiny --out "$run" --max-time "${seconds}s" $steps \
    >"$BIN/train.txt" 2>&1
  report '```' "$(tail -n 15 "$BIN/train.txt" | cut -c 1-200)" '```' ""
  "$UNNOISE" export "$run" --f16 --out "$BIN/model" >>"$BIN/train.txt" 2>&1 && mv "$BIN/model" "$run/model"
  tar -cf "$OUT/run.tar" -C "$BIN" --exclude='checkpoint-*' --exclude=latest run train.txt
  tar -cf - -C "$run" --exclude=samples --exclude=model . | gzip -1 | head -c $((2 * MOST_FILE)) | split -b "$MOST_FILE" -d -a 1 - "$OUT/checkpoint.tar.gz."
  local file
  for file in "$OUT"/*; do
    [ "$(wc -c <"$file")" -le "$MOST_FILE" ] || { rm "$file" && report "$(basename "$file") is larger than $MOST_FILE bytes and was left out." ""; }
  done
}

run() {
  [ $# -ge 1 ] || fail "say where the results go: scripts/gpu-check.sh run OUT"
  OUT=$1
  shift
  while [ $# -gt 0 ]; do
    case "$1" in
      --minutes) MINUTES=${2:-} && shift ;;
      --small) SMALL=1 ;;
      --parts) PARTS=${2:-} && shift ;;
      *) fail "there is no option $1: --minutes N, --parts A,B, --small" ;;
    esac
    shift
  done
  case "$MINUTES" in '' | *[!0-9]* | 0) fail "--minutes takes a whole number from 1 on" ;; esac
  local part
  for part in ${PARTS//,/ }; do
    case "$part" in tests | benches | torch | train) ;; *) fail "there is no part $part: tests, benches, torch, train" ;; esac
  done
  DEADLINE=$((SECONDS + MINUTES * 60 - 5))
  mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) || fail "cannot write to $OUT"
  [ -z "$(ls -A "$OUT")" ] || fail "$OUT is not empty: name a new folder"
  unpack
  for part in adapters ${PARTS//,/ }; do
    say "$part: $(left) s are left"
    "$part"
  done
  cat "$OUT/report.md"
}

case "${1:-}" in
  pack) shift && pack "$@" ;;
  run) shift && run "$@" ;;
  *) fail "usage: scripts/gpu-check.sh pack, or scripts/gpu-check.sh run OUT [--minutes 9]" ;;
esac
