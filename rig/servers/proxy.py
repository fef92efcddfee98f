"""A TCP proxy on loopback whose connections can be muted, cut and refused."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Forwards a free port on 127.0.0.1 to `port`, until it mutes or cuts a connection.

    :param port: port of the real server on 127.0.0.1
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.lock = threading.Lock()
        self.sockets: set[socket.socket] = set()
        self.muted: set[socket.socket] = set()
        self.swallowed = threading.Event()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=128)
        self.port = int(self.listener.getsockname()[1])
        self._accept_connections()

    def mute(self) -> None:
        """Swallows all data on the connections that are open now, like a network that has gone away."""
        with self.lock:
            self.swallowed.clear()
            self.muted |= self.sockets

    def cut(self) -> int:
        """Closes every connection that is open now, and returns their number. It still accepts new ones."""
        with self.lock:
            doomed, self.sockets = self.sockets, set()
        for end in doomed:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(doomed) // 2

    def refuse(self) -> None:
        """Cuts every connection, and refuses new ones until `listen` is called, like a server that is down."""
        self.close()
        # A socket that is bound and does not listen refuses connections, and nobody else gets its port.
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', self.port))

    def listen(self) -> None:
        """Accepts connections again."""
        self.listener.listen(128)
        self._accept_connections()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def _accept_connections(self) -> None:
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets |= {client, server}
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source in self.muted:
                    self.swallowed.set()
                else:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self.lock:
            self.sockets.discard(source)
            self.muted.discard(source)
        source.close()
