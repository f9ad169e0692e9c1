"""A static server for the page: python3 scripts/serve.py [--port N] [--exact].

Python's own http.server with three things added: the MIME types are certain (some systems know
neither .wasm nor .mjs), nothing is cached (a rebuilt module shows at once), and only this machine
can connect.
"""

import argparse
import functools
import http.server
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".json": "application/json",
        ".safetensors": "application/octet-stream",
    }

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code="-", size="-"):
        """Says only what went wrong."""
        if isinstance(code, int) and code >= 400:
            super().log_request(code, size)


def bind(port, exact):
    handler = functools.partial(Handler, directory=str(ROOT))
    for candidate in [port] if exact else [*range(port, port + 20), 0]:
        try:
            return http.server.ThreadingHTTPServer(("127.0.0.1", candidate), handler)
        except OSError as error:
            reason = error
    sys.exit(f"error: port {port} cannot be used: {reason.strerror}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--exact", action="store_true", help="fail when the port is taken")
    args = parser.parse_args()
    with bind(args.port, args.exact) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"\n  unnoise is at {address}   (Ctrl-C stops it)\n", flush=True)
        if opener := os.environ.get("UNNOISE_OPEN"):
            subprocess.Popen([opener, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
