#!/usr/bin/env bash
# Builds the page and serves it: scripts/serve.sh [--port N] [--no-open]
# Installs what is missing (see lib.sh); on a fresh Debian or Ubuntu it needs only rustup, git and
# the package registries. Ctrl-C stops the server.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/serve.sh [--port N] [--no-open]

Builds the WebAssembly module, serves this repository on http://127.0.0.1:N/ and prints the address.

  --port N     the port to listen on (default 8000; the next free one if it is taken)
  --no-open    do not open the page in a browser
TEXT
}

port=8000 port_given="" open=1
while [ $# -gt 0 ]; do
  case "$1" in
    --port)
      [ $# -ge 2 ] || fail "--port needs a number"
      port=$2 port_given=1
      shift
      ;;
    --port=*) port=${1#--port=} port_given=1 ;;
    --no-open) open="" ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done
case "$port" in '' | *[!0-9]*) fail "--port needs a number, not '$port'" ;; esac

need_wasm_tools
say "building the page (about a minute the first time)"
build_wasm

# Any static server will do. These two are tiny, listen only on this machine, and are nearly always already installed.
if have python3; then
  server="python3 scripts/serve.py"
elif have node; then
  server="node tests/web/server.mjs"
else
  need python3 python3 "Install Python 3 or Node.js, or serve this folder with any static web server."
  server="python3 scripts/serve.py"
fi

opener=""
if [ -n "$open" ] && [ -t 1 ]; then
  if [ "$(uname -s)" = Darwin ]; then
    opener=open
  elif [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && have xdg-open; then
    opener=xdg-open
  fi
fi

# shellcheck disable=SC2086
exec env UNNOISE_OPEN="$opener" $server --port "$port" ${port_given:+--exact}
