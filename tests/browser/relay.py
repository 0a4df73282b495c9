"""A TCP relay that breaks event streams: it stands between an EventSource and the server, and cuts connections."""

import re
import socket
import struct
import threading

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html><title>Relay</title>"
NOTHING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EVENT_WITH_ID = re.compile(rb"^id:.*\n(?:.+\n)*\n", re.MULTILINE)
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Listens on a port of its own. Resets the first `cuts` connections after `events` events with an ID each.

    `/page` is an empty page, so that a browser's requests have the relay's origin. `asked` is the `Last-Event-ID` of
    each request that went to the server, `None` where there was none."""

    def __init__(self, address, cuts, events):
        self.address, self.cuts, self.events = address, cuts, events
        self.asked = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return client.close()
            head += piece
        path = head.split(b" ", 2)[1]
        if path in (b"/page", b"/favicon.ico"):
            client.sendall(PAGE if path == b"/page" else NOTHING)
            return client.close()
        last = re.search(rb"(?im)^last-event-id:[ \t]*(.*?)[ \t]*\r$", head)
        with self.lock:
            cut = len(self.asked) < self.cuts
            self.asked.append(last and last[1].decode())
        with socket.create_connection(self.address) as server:
            server.sendall(head)
            # The client says nothing more; that it has left shows when we write to it.
            try:
                self._copy(server, client, cut)
            except OSError:
                pass
        client.close()

    def _copy(self, server, client, cut):
        seen = passed_on = b""
        while piece := server.recv(65536):
            seen += piece
            events = list(EVENT_WITH_ID.finditer(seen)) if cut else []
            broken = len(events) >= self.events
            # Not a byte behind the event that is the last: events that come in one piece must not get past the cut.
            end = events[self.events - 1].end() if broken else len(seen)
            client.sendall(seen[len(passed_on) : end])
            passed_on = seen[:end]
            if broken:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                return
