# shellcheck shell=bash
# What serve.sh and test.sh share: finding tools, and installing the ones that are missing. Sourced,
# never run. Written for bash 3.2, which is what macOS has.
#
# The rule for installing: what is already there in the right version is left alone. Rust tools are installed by cargo,
# everything else by apt if there is apt; otherwise a sentence says what to install.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1

# This shell may not know about rustup yet (a fresh install says "open a new shell").
case ":$PATH:" in
  *":$HOME/.cargo/bin:"*) ;;
  *) PATH="$HOME/.cargo/bin:$PATH" ;;
esac

say() { printf '%s\n' "$*" >&2; }
fail() {
  say ""
  say "error: $*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
is_debian() { have apt-get && have dpkg; }

# apt_install PACKAGE…: as root, with sudo if necessary; refreshes the package lists once per run.
apt_install() {
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    have sudo || fail "these packages are needed and only root may install them: $*"
    sudo="sudo"
  fi
  if [ -z "${APT_UPDATED:-}" ]; then
    quietly $sudo apt-get update || return 1
    APT_UPDATED=1
  fi
  say "installing by apt: $*"
  quietly $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# quietly COMMAND…: shows the command's output only if it fails.
quietly() {
  local output
  output=$("$@" 2>&1 </dev/null) && return 0
  say "$output"
  return 1
}

# need COMMAND APT-PACKAGE "what to do elsewhere"
need() {
  have "$1" && return 0
  if is_debian; then
    apt_install "$2" || fail "apt could not install $2, which brings $1"
    hash -r
  fi
  have "$1" || fail "$1 is missing. $3"
}

need_rust() {
  have cargo || fail "Rust is missing: install it with rustup (https://rustup.rs) and run this again"
  # Rust links with the C compiler, and a few dependencies hold a line of C.
  if ! have cc && is_debian; then
    apt_install gcc libc6-dev || fail "apt could not install a C compiler, which Rust links with"
    hash -r
  fi
  have cc || fail "a C compiler is missing, and Rust links with it. macOS: xcode-select --install; Fedora: dnf install gcc"
}

need_wasm_target() {
  if have rustup; then
    rustup target list --installed | grep -qx wasm32-unknown-unknown && return 0
    say "adding Rust's wasm32-unknown-unknown target"
    rustup target add wasm32-unknown-unknown >&2 || fail "rustup could not add the target wasm32-unknown-unknown"
  else
    [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ] ||
      fail "this Rust has no wasm32-unknown-unknown target, and there is no rustup to add it"
  fi
}

# The version that Cargo.lock has for a package.
locked_version() {
  awk -v name="$1" '
    $1 == "name" { gsub(/"/, "", $3); found = ($3 == name) }
    $1 == "version" && found { gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"
}

# wasm-pack runs the wasm-bindgen command, whose version must be exactly the one that the crate links with.
WASM_PACK_VERSION=0.15.1
need_wasm_tools() {
  need_rust
  need_wasm_target
  local bindgen
  bindgen=$(locked_version wasm-bindgen)
  [ -n "$bindgen" ] || fail "Cargo.lock names no wasm-bindgen"
  if [ "$(wasm-bindgen --version 2>/dev/null)" != "wasm-bindgen $bindgen" ]; then
    say "installing wasm-bindgen-cli $bindgen (a few minutes, once)"
    # Not --locked: its lock file may name crate versions that have been withdrawn since.
    env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install --quiet wasm-bindgen-cli --version "$bindgen" --force >&2 ||
      fail "cargo could not install wasm-bindgen-cli $bindgen"
  fi
  if ! have wasm-pack; then
    say "installing wasm-pack $WASM_PACK_VERSION (a few minutes, once)"
    env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install --quiet wasm-pack --version "$WASM_PACK_VERSION" --locked >&2 ||
      fail "cargo could not install wasm-pack"
  fi
  hash -r
}

# Makes pkg/ with the README's plain command: .cargo/config.toml has the flags for wasm32.
build_wasm() {
  wasm-pack build --target web --mode no-install >&2 || fail "the wasm module does not build"
}

# Something that runs node's test runner: node 18 or later with npm.
need_node() {
  if ! have node || ! have npm; then
    if is_debian; then apt_install nodejs npm || fail "apt could not install nodejs and npm"; fi
    hash -r
  fi
  have node && have npm || fail "node and npm are missing: install Node.js 18 or later"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 18 ] || fail "node $(node --version) is too old: the page tests need 18 or later"
}

# The node packages that the page tests use, in exactly the lock file's versions.
need_web_packages() {
  need_node
  local stamp="tests/web/node_modules/.package-lock.json"
  [ -e "$stamp" ] && [ ! tests/web/package-lock.json -nt "$stamp" ] && return 0
  say "installing the page tests' node packages"
  (cd tests/web && npm ci --no-audit --no-fund --loglevel=error) >&2 || fail "npm ci failed in tests/web"
}

# Ubuntu's browser packages are scripts that ask for the snap, and cannot be driven.
is_snap_stub() { [ "$(wc -c <"$1")" -lt 20000 ] && grep -qs '/snap/bin' "$1"; }

# browser_path NAME: prints the path of an installed chromium or firefox, or nothing.
browser_path() {
  local candidate
  if [ "$1" = chromium ]; then
    set -- "${CHROMIUM:-}" chromium google-chrome-stable google-chrome microsoft-edge-stable chromium-browser \
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" "/Applications/Chromium.app/Contents/MacOS/Chromium"
  else
    set -- "${FIREFOX:-}" firefox-esr firefox /Applications/Firefox.app/Contents/MacOS/firefox
  fi
  for candidate in "$@"; do
    [ -n "$candidate" ] && have "$candidate" || continue
    candidate=$(command -v "$candidate")
    is_snap_stub "$candidate" && continue
    printf '%s\n' "$candidate"
    return 0
  done
}

# A Vulkan driver for wgpu and Firefox without a GPU: Mesa's llvmpipe. macOS has Metal.
need_vulkan() {
  [ "$(uname -s)" = Linux ] || return 0
  local have_gpu="" node
  for node in /dev/dri/renderD* /dev/nvidia0; do [ -e "$node" ] && have_gpu=1; done
  if [ -n "$have_gpu" ] && ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1; then
    return 0
  fi
  if is_debian; then
    local mesa
    mesa=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null)
    if [ -n "$mesa" ] && dpkg --compare-versions "$mesa" ge 23.2; then :; else install_mesa; fi
    # The loader itself; nothing depends on it.
    [ -n "$(dpkg-query -W -f '${Version}' libvulkan1 2>/dev/null)" ] || apt_install libvulkan1
  fi
  [ -n "$(lavapipe_icd)" ] || fail "no GPU and no software Vulkan: install Mesa's Vulkan drivers (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast)"
}

lavapipe_icd() { ls /usr/share/vulkan/icd.d/lvp_icd*.json /usr/share/vulkan/icd.d/lavapipe_icd*.json 2>/dev/null | head -n 1; }

install_mesa() {
  # Debian 12's own Mesa, 22.3, is several times slower than the one in its backports.
  if grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release && enable_backports; then
    apt_install -t bookworm-backports mesa-vulkan-drivers libvulkan1 && return 0
    say "the backports have no Mesa to install: taking Debian 12's own, which is slower"
  fi
  apt_install mesa-vulkan-drivers libvulkan1 || fail "apt could not install mesa-vulkan-drivers"
}

# Adds the backports suite of the mirror that apt already uses.
enable_backports() {
  local sources=/etc/apt/sources.list.d/unnoise-backports text="" suffix=list sudo=""
  grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d && return 0
  if [ -e /etc/apt/sources.list.d/debian.sources ]; then
    suffix=sources
    text=$(awk 'BEGIN{RS=""} /Suites: bookworm( |\n|$)/ {print; exit}' /etc/apt/sources.list.d/debian.sources |
      sed 's/^Suites:.*/Suites: bookworm-backports/')
  elif [ -e /etc/apt/sources.list ]; then
    text=$(sed -n 's/^\(deb .*\) bookworm main.*/\1 bookworm-backports main/p' /etc/apt/sources.list | head -n 1)
  fi
  [ -n "$text" ] || return 1
  [ "$(id -u)" = 0 ] || sudo=sudo
  printf '%s\n' "$text" | $sudo tee "$sources.$suffix" >/dev/null || return 1
  APT_UPDATED=""
}

# need_browser chromium|firefox: sets CHROMIUM or FIREFOX to a browser that the tests can drive.
need_browser() {
  local path apt_name builds
  path=$(browser_path "$1")
  if [ -z "$path" ] && is_debian; then
    apt_name=$1
    [ "$1" = firefox ] && apt_name=firefox-esr
    # Ubuntu has no real package under either name.
    if ! grep -qs '^ID=ubuntu' /etc/os-release; then
      apt_install "$apt_name" || fail "apt could not install $apt_name"
      hash -r
      path=$(browser_path "$1")
    fi
  fi
  if [ -z "$path" ]; then
    # For systems without a browser package, puppeteer includes a tool that downloads a browser.
    need_web_packages
    builds="$ROOT/tests/web/node_modules/.browsers"
    say "downloading a build of $1"
    if [ "$1" = chromium ]; then
      path=$(cd tests/web && npx --no-install @puppeteer/browsers install chrome@stable --path "$builds" --format '{{path}}' | tail -n 1)
    else
      path=$(cd tests/web && npx --no-install @puppeteer/browsers install firefox@esr --path "$builds" --format '{{path}}' | tail -n 1)
    fi
  fi
  [ -n "$path" ] && [ -x "$path" ] || fail "no $1 found: install it, or name it by $(echo "$1" | tr '[:lower:]' '[:upper:]')=/path/to/it"
  if [ "$1" = chromium ]; then export CHROMIUM="$path"; else export FIREFOX="$path"; fi
}
