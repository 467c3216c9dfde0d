"""A webhook on this machine that keeps what it is sent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Webhook:
    """Where it listens, what came, and what it answers."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/hook/s3cret"
        self.texts = []
        self.status = 200


@contextmanager
def webhook():
    """Listens while the body runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            assert self.path == "/hook/s3cret"
            hook.texts.append(json.loads(body)["text"])
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *what):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
