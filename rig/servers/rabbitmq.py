"""A private RabbitMQ node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from .broker import Broker
from .environment import clean_environment
from .process import PATIENCE, Process, accepts_connections, free_port, wait_until
from .programs import find_program

# Debian's `rabbitmq-server` on the path must run as root or `rabbitmq`. The script that it wraps runs as any user.
SCRIPTS = Path('/usr/lib/rabbitmq/bin')
VHOSTS = 50
USER = PASSWORD = 'test'


class RabbitMQ:
    """A node on free ports of 127.0.0.1, with files, name server and Erlang cookie of its own.

    A start takes some three seconds, and `rabbitmqctl` takes nearly as long to make a virtual host. So the node has a
    number of virtual hosts from the start.

    :param is_managed: whether it has the management plugin, whose start takes longer
    """

    def __init__(self, is_managed: bool = False) -> None:
        self.program = shutil.which('rabbitmq-server', path=SCRIPTS) or find_program('rabbitmq-server')
        self.name_server_program = find_program('epmd')
        self.port, self.distribution_port, self.name_server_port = free_port(), free_port(), free_port()
        self.management_port = free_port() if is_managed else None
        self.directory = Path(tempfile.mkdtemp(prefix='rabbitmq-'))
        self.vhosts = iter(range(VHOSTS))
        self.starts = count(1)
        self.process: Process | None = None
        self._write_configuration()
        # The node would start a name server by itself, which would outlive the node.
        self.name_server = Process(
            [self.name_server_program, '-address', '127.0.0.1', '-port', str(self.name_server_port)],
            self.directory / 'epmd.log',
            self._environment(),
        )

    def start(self) -> None:
        wait_until(lambda: accepts_connections(self.name_server_port), 'epmd to accept connections')
        self.process = Process(
            [self.program], self.directory / f'node-{next(self.starts)}.log', self._environment(), self.directory
        )
        self.process.wait_for('completed with .* plugins', 3 * PATIENCE)

    def stop(self) -> None:
        """Closes every connection and stops; durable queues and persistent messages stay."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """Kills the node. It comes back with the messages that it has confirmed."""
        assert self.process is not None
        self.process.kill()

    def broker(self) -> Broker:
        """A virtual host that nothing has used yet."""
        url = f'amqp://{USER}:{PASSWORD}@127.0.0.1:{{port}}/{next(self.vhosts)}'
        return Broker('amqp', url, {}, self.port, server=self)

    def quorum_broker(self) -> Broker:
        """A virtual host that makes quorum queues of all queues that are declared without a type."""
        self._control('add_vhost', 'quorum', '--default-queue-type', 'quorum')
        self._control('set_permissions', '-p', 'quorum', USER, '.*', '.*', '.*')
        return Broker('amqp', f'amqp://{USER}:{PASSWORD}@127.0.0.1:{{port}}/quorum', {}, self.port, server=self)

    def alarm(self, is_on: bool) -> None:
        """Lets the node be short of memory, so that it takes no messages, or have enough again."""
        self._control('set_vm_memory_high_watermark', '0.00001' if is_on else '0.6')

    def close(self) -> None:
        self.stop()
        self.name_server.stop()
        shutil.rmtree(self.directory)

    def _control(self, *command: str) -> None:
        # The script that Debian's `rabbitmqctl` wraps runs as any user.
        program = shutil.which('rabbitmqctl', path=SCRIPTS) or find_program('rabbitmqctl')
        subprocess.run([program, *command], env=self._environment(), check=True, capture_output=True)

    def _environment(self) -> dict[str, str]:
        home = self.directory / 'home'
        home.mkdir(exist_ok=True)
        return clean_environment(
            HOME=str(home),
            ERL_EPMD_PORT=str(self.name_server_port),
            RABBITMQ_NODENAME=f'test{os.getpid()}@localhost',
            RABBITMQ_DIST_PORT=str(self.distribution_port),
            RABBITMQ_MNESIA_BASE=str(self.directory / 'mnesia'),
            RABBITMQ_LOG_BASE=str(self.directory / 'log'),
            RABBITMQ_LOGS='-',
            RABBITMQ_CONFIG_FILE=str(self.directory / 'rabbitmq.conf'),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.directory / 'enabled_plugins'),
        )

    def _write_configuration(self) -> None:
        names = [str(number) for number in range(VHOSTS)]
        everything = {'configure': '.*', 'write': '.*', 'read': '.*'}
        plugins = 'rabbitmq_management' if self.management_port else ''
        (self.directory / 'enabled_plugins').write_text(f'[{plugins}].\n')
        (self.directory / 'definitions.json').write_text(
            json.dumps(
                {
                    'users': [{'name': USER, 'password': PASSWORD, 'tags': 'monitoring'}],
                    'vhosts': [{'name': name} for name in names],
                    'permissions': [{'user': USER, 'vhost': name, **everything} for name in names],
                }
            )
        )
        management = []
        if self.management_port:
            listener = f'management.tcp.port = {self.management_port}'
            management = ['management.tcp.ip = 127.0.0.1', listener, 'collect_statistics_interval = 1000']
        (self.directory / 'rabbitmq.conf').write_text(
            '\n'.join(
                [
                    f'listeners.tcp.default = 127.0.0.1:{self.port}',
                    f'load_definitions = {self.directory / "definitions.json"}',
                    'disk_free_limit.absolute = 50MB',
                    *management,
                ]
            )
            + '\n'
        )
