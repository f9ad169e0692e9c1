#!/usr/bin/env bash
# Runs every test: scripts/test.sh [--list] [STAGE…]
# Installs what is missing (see lib.sh), says what it does and how long it took, continues after a failed stage so that one
# run shows everything, and ends with the counts. docs/testing.md explains.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What must hold besides "no test failed". These numbers are only here.
# The page's module: a fuse, not a goal (docs/wasm-size.md).
MAX_WASM_GZIP_BYTES=300000
# GPU tests of the native suite on the default adapter, and the chosen ones on SwiftShader; a suite that skips silently
# tests nothing.
EXPECTED_GPU_TESTS=235
EXPECTED_SWIFTSHADER_TESTS=164
# Page tests, in each browser. Firefox's driver can do a little less.
EXPECTED_PAGE_TESTS=112

STAGES="format clippy clippy-wasm doc native gpu-check swiftshader wasm chromium firefox"
# Run only if named, because it builds with link-time optimisation, which takes minutes.
MORE_STAGES="release"

# A test run that hangs is stopped and named, well before the whole CI run would be stopped.
RUN_LIMIT=40m
limited() { if have timeout; then timeout --foreground "$RUN_LIMIT" "$@"; else "$@"; fi; }

LOGS="${CARGO_TARGET_DIR:-$ROOT/target}/test-logs"
passed=0 failed=0 skipped=0
broken="" times=""

# --- the stages: each a function that fails when the stage does ---

stage_format() {
  rustup component add rustfmt >/dev/null 2>&1
  cargo fmt --all --check
}

stage_clippy() {
  rustup component add clippy >/dev/null 2>&1
  cargo clippy --locked --all-targets -- -D warnings &&
    cargo clippy --locked --all-targets --features train -- -D warnings
}

stage_clippy_wasm() {
  need_wasm_target
  cargo clippy --locked --lib --target wasm32-unknown-unknown -- -D warnings
}

stage_doc() {
  RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib --features train
}

# native_tests NAME EXPECTED [ARGUMENT…]: the suite, or the part that the arguments choose, on the adapter that the
# environment selects. REQUIRE_GPU makes a missing adapter a failure. GPU_TEST_LOG gets a line from every GPU test that ran.
native_tests() {
  local name=$1 expected=$2 gpu_log="$LOGS/gpu-tests-$1.txt" ran
  shift 2
  rm -f "$gpu_log"
  REQUIRE_GPU=1 GPU_TEST_LOG="$gpu_log" limited cargo test --locked --features train --no-fail-fast "$@" || return 1
  ran=$(sort -u "$gpu_log" 2>/dev/null | grep -c .)
  echo "$ran GPU tests ran on $name"
  [ "$ran" -ge "$expected" ] && return 0
  echo "error: expected at least $expected GPU tests, $ran ran"
  return 1
}

stage_native() {
  need_vulkan
  native_tests default "$EXPECTED_GPU_TESTS"
}

# Chromium includes a second software Vulkan, whose limits differ from Mesa's. These are the modules with GPU tests, except
# those that are too much for it. Every run of the command line compiles all its shaders, which takes SwiftShader minutes, and
# so do whole gradients and training runs. Its compiler would take 20 GB for the hundreds of variants in the convolution's own
# tests. The variants that matter are covered by networks, natively and in the page, and by ten training steps.
SWIFTSHADER_MODULES="adjoints:: grad:: grad_norm:: nn:: optim:: sampler:: torch_grad:: torch_nn:: train::
  gpu:: unets:: emoji:: sampling:: resume:: steps::"

stage_swiftshader() {
  local icd
  need_browser chromium
  icd="$(dirname "$(readlink -f "$CHROMIUM")")/vk_swiftshader_icd.json"
  [ -e "$icd" ] || icd=/usr/lib/chromium/vk_swiftshader_icd.json
  if [ ! -e "$icd" ]; then
    echo "this browser has no Vulkan driver to test on: skipped"
    return 0
  fi
  need_vulkan
  # shellcheck disable=SC2086
  VK_ICD_FILENAMES="$icd" VK_DRIVER_FILES="$icd" native_tests SwiftShader "$EXPECTED_SWIFTSHADER_TESTS" \
    --test kernels --test network --test generate --test train -- $SWIFTSHADER_MODULES --skip conv2d
}

# The check for a machine with a GPU, from start to end, with the least of everything.
stage_gpu_check() {
  need_vulkan
  need strip binutils "Install binutils."
  need xz xz-utils "Install xz."
  scripts/gpu-check.sh pack --dev || return 1
  rm -rf "$LOGS/gpu-check"
  limited scripts/gpu-check.sh run "$LOGS/gpu-check" --small --minutes 8 || return 1
  local part
  for part in '1 passed, 0 failed; 1 of them ran on the GPU' '| emoji-16 batch 1 | [0-9]' '| train emoji-tiny batch 2 | [0-9]' '^## PyTorch' 'checkpoint'; do
    grep -q -- "$part" "$LOGS/gpu-check/report.md" || {
      echo "error: $LOGS/gpu-check/report.md does not have '$part'"
      return 1
    }
  done
  [ "$(find "$LOGS/gpu-check" -type f | wc -l)" -le 8 ]
}

# The binary that users get: a panic of wgpu must be caught there as well, which the profile could prevent.
stage_release() {
  need_vulkan
  cargo build --locked --release --features train || return 1
  UNNOISE="${CARGO_TARGET_DIR:-$ROOT/target}/release/unnoise" limited cargo test --locked --features train --test cli lost_device::
}

stage_wasm() {
  local bytes
  need_wasm_tools
  build_wasm
  bytes=$(gzip -9 -c pkg/unnoise_bg.wasm | wc -c | tr -d ' ')
  echo "wasm: $(wc -c <pkg/unnoise_bg.wasm | tr -d ' ') bytes, gzipped $bytes of at most $MAX_WASM_GZIP_BYTES"
  [ "$bytes" -le "$MAX_WASM_GZIP_BYTES" ] && return 0
  echo "error: the wasm module is $((bytes - MAX_WASM_GZIP_BYTES)) bytes too large"
  return 1
}

page_tests() {
  local tap="$LOGS/$1.tap" ran
  [ -e pkg/unnoise_bg.wasm ] || {
    echo "error: pkg/ is not built: run the stage wasm first"
    return 1
  }
  need_web_packages
  # The trainer whose model the page then loads. It runs on Vulkan, no matter what the browser uses.
  need_vulkan
  cargo build --locked --features train || return 1
  UNNOISE="${CARGO_TARGET_DIR:-$ROOT/target}/debug/unnoise" BROWSER="$1" limited node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$tap" tests/web/*.test.mjs || return 1
  ran=$(count_node pass "$tap")
  [ "$ran" -ge "$EXPECTED_PAGE_TESTS" ] && return 0
  echo "error: expected at least $EXPECTED_PAGE_TESTS page tests in $1, $ran ran"
  return 1
}

stage_chromium() {
  need_browser chromium
  page_tests chromium
}

stage_firefox() {
  need_browser firefox
  page_tests firefox
}

# --- counting ---

# count_cargo passed|failed|ignored LOG
count_cargo() {
  sed -n "s/^test result: .* \([0-9][0-9]*\) $1;.*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

# count_node pass|fail|skipped LOG: the closing lines of node's test runner
count_node() {
  sed -n "s/^[^a-z]*$1 \([0-9][0-9]*\)\$/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

run_stage() {
  local name=$1 log="$LOGS/$1.log" began=$SECONDS status took p f s
  printf '\n=== %s ===\n' "$name"
  # In a subshell: `fail` ends the stage, not the run.
  (
    stage_"$(echo "$name" | tr - _)" 2>&1
  ) < /dev/null | tee "$log"
  status=${PIPESTATUS[0]}
  took=$((SECONDS - began))
  p=$(($(count_cargo passed "$log") + $(count_node pass "$log")))
  f=$(($(count_cargo failed "$log") + $(count_node fail "$log")))
  s=$(($(count_cargo ignored "$log") + $(count_node skipped "$log")))
  # A stage without a test runner counts as one check; a failed stage as at least one failure.
  if [ "$status" = 0 ]; then
    [ $((p + f + s)) = 0 ] && p=1
  else
    [ "$f" = 0 ] && f=1
    broken="$broken $name"
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  times="$times$(printf '%-12s %5d s  %4d passed %3d failed %3d skipped' "$name" "$took" "$p" "$f" "$s")
"
  printf '=== %s: %s in %d s ===\n' "$name" "$([ "$status" = 0 ] && echo ok || echo FAILED)" "$took"
}

# This is a function so that the shell reads all of this file before a run of several minutes begins.
main() {
  local wanted="" name
  while [ $# -gt 0 ]; do
    case "$1" in
      --list)
        echo "$STAGES $MORE_STAGES" | tr ' ' '\n'
        exit 0
        ;;
      -h | --help)
        echo "usage: scripts/test.sh [--list] [STAGE…]     stages: $STAGES, and if named: $MORE_STAGES"
        exit 0
        ;;
      *)
        case " $STAGES $MORE_STAGES " in
          *" $1 "*) wanted="$wanted $1" ;;
          *) fail "there is no stage $1; stages: $STAGES $MORE_STAGES" ;;
        esac
        ;;
    esac
    shift
  done

  need_rust
  mkdir -p "$LOGS"
  for name in ${wanted:-$STAGES}; do run_stage "$name"; done

  printf '\n%s\n' "$times"
  [ -z "$broken" ] || echo "failed stages:$broken"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ -z "$broken" ] && [ "$failed" = 0 ]
}

main "$@"
exit
