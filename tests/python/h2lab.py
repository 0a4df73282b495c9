"""What the HTTP/2 tests' clients have in common: one blocking connection, the events of Python's h2, and raw frames.

A script gets PORT, NOTES (the file of what the application has noted) and, when the server speaks TLS, TLS in its
environment. It talks to the server, and fails by an exception.
"""

import os
import socket
import ssl
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

PATIENCE = 20
PORT = int(os.environ["PORT"])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Gone(Exception):
    """The server has closed the connection."""


class Client:
    """A connection that follows the rules unless it is told otherwise."""

    def __init__(self, window=None, auto_ack=True, settings=None, check=True, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", PORT))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if os.environ.get("TLS"):
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.auto_ack = auto_ack
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_outbound_headers=check,
            normalize_outbound_headers=check,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        wanted = dict(settings or {})
        if window is not None:
            wanted[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        if wanted:
            self.h2.update_settings(wanted)
        self.headers = {}
        self.bodies = {}
        self.trailers = {}
        self.ended = set()
        self.resets = {}
        self.goaways = []
        self.raw = set()
        self.received = b""
        self.closed = False
        self.pings = 0
        self.flush()

    # ---- sending

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.send(data)

    def send(self, data):
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # What it has said before closing may still be read.
            pass

    def request(self, path="/", method="GET", headers=(), body=None, end=True, authority="lab", pseudo=()):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":path", path)]
        if authority is not None:
            fields.append((":authority", authority))
        fields += list(pseudo) + list(headers)
        self.h2.send_headers(stream, fields, end_stream=end and body is None)
        if body is not None:
            self.data(stream, body, end)
        self.flush()
        return stream

    def data(self, stream, body, end=False):
        """Sends body bytes as the server's windows allow."""
        while len(body) > 0:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if room == 0:
                self.flush()
                self.step()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
        if end:
            self.h2.end_stream(stream)
        self.flush()

    def connect(self, path="/", headers=(), protocol="websocket"):
        """Extended CONNECT."""
        fields = [("sec-websocket-version", "13"), *headers]
        return self.request(path, "CONNECT", fields, end=False, pseudo=[(":protocol", protocol)])

    def reset(self, stream, code=8):
        self.h2.reset_stream(stream, code)
        self.flush()

    def frame(self, kind, flags=0, stream=0, payload=b""):
        """One raw frame; one that opens a stream makes it a raw one."""
        if kind == 1 and stream not in self.h2.streams:
            self.raw.add(stream)
        self.send(frame(kind, flags, stream, payload))

    # ---- receiving

    def step(self, timeout=PATIENCE):
        """Reads once; False when nothing came in that time."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            return False
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            self.closed = True
            raise Gone()
        self.received += data
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                break
            whole, self.received = self.received[: 9 + length], self.received[9 + length :]
            kind, flags, stream = struct.unpack(">BBI", whole[3:9])
            self.arrived(whole, kind, flags, stream, whole[9:])
        self.flush()
        return True

    def arrived(self, whole, kind, flags, stream, payload):
        """One frame. The library takes GOAWAY for the end of everything, and knows nothing of raw streams."""
        if kind == 7:
            last, code = struct.unpack(">II", payload[:8])
            self.goaways.append((code, last))
        elif stream in self.raw and kind in (0, 1, 3):
            if kind == 0:
                self.bodies[stream] = self.bodies.get(stream, b"") + payload
            elif kind == 1:
                self.headers[stream] = [(str(n, "latin-1"), str(v, "latin-1")) for n, v in self.h2.decoder.decode(payload, raw=True)]
            else:
                self.resets[stream] = int.from_bytes(payload, "big")
            if kind < 3 and flags & 1:
                self.ended.add(stream)
        else:
            for event in self.h2.receive_data(whole):
                self.take(event)

    def take(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            self.headers[stream] = event.headers
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[stream] = self.bodies.get(stream, b"") + event.data
            if self.auto_ack and event.flow_controlled_length:
                self.acknowledge(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[stream] = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(stream)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[stream] = event.error_code
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1

    def acknowledge(self, size, stream):
        try:
            self.h2.acknowledge_received_data(size, stream)
        except h2.exceptions.StreamClosedError:
            self.h2.increment_flow_control_window(size)

    def until(self, condition, patience=PATIENCE):
        """Reads until a condition holds."""
        deadline = time.monotonic() + patience
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self.step(max(left, 0.01)):
                if condition():
                    return
                raise AssertionError(f"waited in vain: {self.shown()}")

    def wait(self, *streams):
        """Reads until these streams are over."""
        self.until(lambda: all(stream in self.ended or stream in self.resets for stream in streams))

    def get(self, path="/", **options):
        """A whole exchange: status and body."""
        stream = self.request(path, **options)
        self.wait(stream)
        return self.status(stream), self.body(stream)

    def until_gone(self, patience=PATIENCE):
        """Reads until the server closes; tells what GOAWAY said."""
        deadline = time.monotonic() + patience
        try:
            while time.monotonic() < deadline:
                self.step(max(deadline - time.monotonic(), 0.01))
        except Gone:
            return self.goaways
        raise AssertionError(f"the connection stays open: {self.shown()}")

    def until_noted(self, text):
        """Reads until the application has noted a line that contains this."""
        deadline = time.monotonic() + PATIENCE
        while text not in notes():
            assert time.monotonic() < deadline, f"{text!r} is not noted: {notes()!r}"
            self.step(0.02)

    def quiet(self, seconds):
        """Reads for that long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.step(max(deadline - time.monotonic(), 0.01))

    # ---- what came

    def status(self, stream):
        return int(self.header(stream, ":status") or 0)

    def header(self, stream, name):
        values = self.values(stream, name)
        return values[0] if values else None

    def values(self, stream, name):
        return [value for known, value in self.headers.get(stream, []) if known == name]

    def body(self, stream):
        return self.bodies.get(stream, b"").decode("latin-1")

    def shown(self):
        return vars(self) | {"h2": None, "socket": None}

    def close(self):
        self.socket.close()


def notes():
    try:
        with open(os.environ["NOTES"]) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def websocket_frame(opcode, payload, first=0x80):
    """A masked frame; the mask is zero, which changes nothing."""
    assert len(payload) < 65536
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return bytes([first | opcode]) + length + bytes(4) + payload


def websocket_frames(data):
    """The frames in what a server has sent: opcode with its flags, and payload."""
    frames = []
    while data:
        first, length = data[0], data[1] & 0x7F
        start = 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(data[2 : 2 + size], "big")
            start += size
        if len(data) < start + length:
            break
        frames.append((first, data[start : start + length]))
        data = data[start + length :]
    return frames


def others_are_served():
    """What every attack must leave as it was."""
    assert Client().get("/ok") == (200, "ok")


def same(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
