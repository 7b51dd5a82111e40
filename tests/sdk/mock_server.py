"""Starts `partfs mock` for one test and stops it. Knows no SDK.

The program is the one that PARTFS_BIN names.
"""

import contextlib
import os
import socket
import subprocess

ACCESS_KEY_ID = "AKIDSDKTESTS"
SECRET_ACCESS_KEY = "secret-of-the-sdk-tests/+="


class Mock:
    """A running mock with fixed keys. Use it with `with`."""

    def __init__(self, dialect, bucket, token=None, folder=None):
        self.dialect, self.bucket, self.token, self.folder = dialect, bucket, token, folder

    def __enter__(self):
        command = [os.environ["PARTFS_BIN"], "mock", "--dialect", self.dialect]
        command += ["--listen", "127.0.0.1:0", "--bucket", self.bucket]
        if self.folder:
            command += ["--dir", self.folder]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARTFS_")}
        environment["PARTFS_ACCESS_KEY_ID"] = ACCESS_KEY_ID
        environment["PARTFS_SECRET_ACCESS_KEY"] = SECRET_ACCESS_KEY
        if self.token:
            environment["PARTFS_SESSION_TOKEN"] = self.token
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        first = self._process.stdout.readline()
        if not first.startswith("listening on http://"):
            raise SystemExit(f"`{' '.join(command)}` did not start: exit code {self._process.wait()}")
        self.address = first.removeprefix("listening on http://").strip()
        self.host, port = self.address.rsplit(":", 1)
        self.port = int(port)
        return self

    def stop(self):
        """Ends it; returns how often it was asked for what, such as {"upload part": 3}."""
        if self._process.poll() is None:
            self._process.terminate()
        output, _ = self._process.communicate(timeout=30)
        lines = (line.removeprefix("requests: ") for line in output.splitlines() if line.startswith("requests: "))
        return {name: int(count) for name, count in (line.rsplit(" ", 1) for line in lines)}

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def every_name_is_here():
    """Every host name leads to this machine, so that SDKs can use the host names of the services."""
    real = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *more, **options: real("127.0.0.1", *more, **options)
    try:
        yield
    finally:
        socket.getaddrinfo = real
