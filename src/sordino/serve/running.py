"""A server that runs: residents, desk, API and page behind one socket."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import soundfile

from sordino.adapters import SUFFIX
from sordino.serve.heard import Ear
from sordino.serve.limits import Desk, Limits
from sordino.serve.residents import Residents
from sordino.serve.rooms import Rooms
from sordino.song.card import sources

LOOPBACK = ("127.0.0.1", "localhost", "::1")
CHECKED_S, CHECKED_HZ = 4.0, 22_050


def library() -> Any:
    """uvicorn, which comes with the extra.

    Raises:
        ImportError: it is not there; says what to install.
    """
    try:
        import_module("gradio")
        return import_module("uvicorn")
    except ImportError as error:
        raise ImportError(f"sordino serve needs {error.name}: pip install 'sordino[serve]'") from error


def asked_residents(given: Sequence[str], limits: Limits, **options: Any) -> Residents:
    """Adapters as they are given on the command line (`NAME=ADAPTER`), or those of the song card.

    Raises:
        ValueError: two have one name.
    """
    if not given:
        adapters, plain = sources()
        return Residents(adapters, plain, limits, **options)
    named: dict[str, str] = {}
    for text in given:
        name, equals, adapter = text.partition("=")
        if not equals or Path(text).exists():
            name, adapter = Path(text.rpartition("/")[2]).name.removesuffix(SUFFIX), text
        if name in named:
            raise ValueError(f"two adapters are called {name}; tell them apart: NAME={text}")
        named[name] = adapter
    return Residents(named, None, limits, **options)


class Server:
    """An API, perhaps a page, and where they listen.

    Args:
        residents: what answers.
        limits: see `Limits`.
        host: address.
        port: 0 for a free one.
        swap: whether who asks may add and remove residents.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self, residents: Residents, limits: Limits, host: str = LOOPBACK[0], port: int = 0, swap: bool = False
    ):
        from sordino.serve.api import make_api

        self.residents, self.desk = residents, Desk(limits)
        # A page of somebody else, whose name leads to this machine, must not ask on behalf of who looks at it.
        hosts = [*LOOPBACK, "[::1]"] if host in LOOPBACK else ["*"]
        self.app = make_api(residents, self.desk, swap, hosts)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise OSError(f"port {port} of {host} cannot be used ({error.strerror}); --port names another") from error
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._socket.getsockname()[1]}"
        config = library().Config(self.app, log_level="warning", timeout_graceful_shutdown=2)
        self._server = library().Server(config)

    def add_page(self, folders: Sequence[str | Path] = (), out: str | Path = "runs/labels",
                 backbone: Mapping[str, Any] | None = None, segment_s: float = 10.0) -> None:  # fmt: skip
        """Put the page beside the API.

        Args:
            folders: that may be labelled.
            out: where labels are saved.
            backbone: what hears them.
            segment_s: length of the segments it hears.
        """
        from sordino.serve.page import mount

        rooms = Rooms(folders, out, self.residents, lambda: Ear(backbone or {"name": "mini"}, segment_s))
        mount(self.app, self.residents, self.desk, rooms if folders else None)

    def run(self, tell: Callable[[str], None]) -> None:
        """Answer until the process is told to stop."""
        tell(self.address)
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Server:
        """Answer in a thread."""
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def check(self) -> str:
        """Start, answer one sound, end.

        Returns:
            What was answered in what time, one line.
        """
        time_s = np.arange(int(CHECKED_S * CHECKED_HZ)) / CHECKED_HZ
        file = io.BytesIO()
        soundfile.write(file, 0.3 * np.sin(2 * np.pi * 220 * time_s) * (time_s % 0.5 < 0.4), CHECKED_HZ, format="WAV")
        with self:
            begun = time.monotonic()
            with urlopen(Request(f"{self.address}/v1/answers", file.getvalue(), method="POST")) as response:
                found = json.load(response)
            took_s = time.monotonic() - begun
        names = ", ".join(name for name in found if name not in ("path", "duration_s"))
        return f"{self.address} answered {CHECKED_S:g} s of sound in {took_s:.1f} s: {names}"
