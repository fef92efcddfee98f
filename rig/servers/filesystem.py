"""kombu's filesystem broker in a directory of its own."""

from __future__ import annotations

import threading
from pathlib import Path

from kombu.transport.filesystem import Transport

from .broker import Broker, Message
from .process import POLL_SECONDS


class FilesystemBroker(Broker):
    """Keeps each message as a file in `directory`.

    A consumer of kombu's takes a file as soon as it exists. If the file is still empty then, both the message and the
    worker are lost. So producers write into one folder, consumers read from another, and a thread moves the finished
    files.
    """

    def __init__(self, directory: Path) -> None:
        self.sent, self.ready = directory / 'sent', directory / 'ready'
        folders = {
            'data_folder_in': self.ready,
            'data_folder_out': self.sent,
            'control_folder': directory / 'control',
            'processed_folder': directory / 'done',
        }
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        super().__init__(
            'filesystem',
            'filesystem://',
            {
                **{option: str(folder) for option, folder in folders.items()},
                'store_processed': True,
                'polling_interval': 0.05,
            },
        )
        # kombu keeps one table of exchanges and bindings for the whole process.
        Transport.global_state.clear()
        self.moving = threading.Lock()
        self.closed = threading.Event()
        self.mover = threading.Thread(target=self._move_until_closed)
        self.mover.start()

    def count(self, queue: str) -> int:
        self._move()
        return super().count(queue)

    def drain(self, queue: str) -> list[Message]:
        self._move()
        return super().drain(queue)

    def close(self) -> None:
        self.closed.set()
        self.mover.join()
        super().close()

    def _move_until_closed(self) -> None:
        while not self.closed.wait(POLL_SECONDS):
            self._move()

    def _move(self) -> None:
        with self.moving:
            for file in self.sent.iterdir():
                # kombu writes a message in one call.
                if file.stat().st_size:
                    file.rename(self.ready / file.name)
