"""A program that stands in for tritonserver where scripts that start it are tested."""

from __future__ import annotations

STAND_IN = '''
"""Stands in for tritonserver: answers health, takes a second to end, and notes what it was asked."""
import http.server, os, pathlib, signal, sys, threading, time

notes = pathlib.Path(os.environ["NOTES"])
port = next(int(a.split("=")[1]) for a in sys.argv if a.startswith("--http-port="))

def note(text):
    with notes.open("a") as stream:
        stream.write(text + "\\n")

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass

def end(number, frame):
    marked = os.path.exists(os.environ["HITFABRIC_SHUTDOWN"])
    watched = "WATCHED" in os.environ and os.path.exists(os.environ["WATCHED"])
    note(f"TERM marked={marked} watched={watched}")
    time.sleep(0.5)
    note("ended")
    os._exit(int(os.environ.get("STATUS", "0")))

signal.signal(signal.SIGTERM, end)
note("started " + " ".join(sys.argv[1:]))
if "DIES" in os.environ:
    sys.exit(int(os.environ["DIES"]))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Health).serve_forever()
'''
