"""The HTTP API: a sound is sent as the body of a request, and answered; adapters are listed, added and removed.

    curl --data-binary @song.mp3 'http://127.0.0.1:7860/v1/answers?adapter=key&adapter=beat'

Conventions: nothing that is sent is ever used as a path. A sound is written to a file of a name that the server makes,
an adapter to a folder of its own, and an adapter is taken only onto weights that are here already. Its description
and tensors are read as those of a stranger (`adapter_reading.py`). Errors are `{"detail": "one line"}`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, HTTPException, Query, Request, Response  # pyright: ignore[reportMissingImports]
from fastapi.middleware.trustedhost import TrustedHostMiddleware  # pyright: ignore[reportMissingImports]
from fastapi.responses import JSONResponse, PlainTextResponse  # pyright: ignore[reportMissingImports]

import sordino
from sordino.audio import FORMATS
from sordino.files import one_line
from sordino.results import ANSWER_COLUMNS, FileAnswer, answer_rows, to_csv, to_jams
from sordino.serve.limits import Busy, Desk, Late, TooMuch
from sordino.serve.residents import Resident, Residents, Unknown

RETRY_S = 5
LONGEST_NAME = 200
STATUS = {Unknown: 404, FileExistsError: 409, TooMuch: 413, Busy: 503, Late: 504, TimeoutError: 504, ValueError: 422}
SOUND = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such resident."},
    413: {"description": "The sound is larger or longer than this server grants."},
    422: {"description": "It is no sound that can be read, or a parameter is wrong."},
    503: {"description": "Too many requests wait already; `Retry-After` says when to ask again."},
    504: {"description": "It took longer than this server grants."},
}


def make_api(residents: Residents, desk: Desk, swap: bool = False, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """The API.

    Args:
        residents: what answers.
        desk: whose turn it is.
        swap: whether who asks may add and remove residents.
        hosts: names under which the server may be asked; `*` for all.
    """
    app = FastAPI(
        title="sordino", version=sordino.__version__, summary="Answers about music.", description=_about(desk)
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(_BodyLimit, most_bytes=desk.limits.upload_bytes)

    @app.get("/v1/health", summary="Whether the server is up")
    def health() -> dict[str, Any]:
        return {"status": "ok", "version": sordino.__version__, "adapters": list(residents)}

    @app.get("/v1/adapters", summary="What is resident")
    def adapters() -> list[Resident]:
        return residents.listed()

    @app.post("/v1/answers", summary="Answer a sound", responses=ERRORS,
              openapi_extra={"requestBody": {"required": True, "content": SOUND}})  # fmt: skip
    async def answers(
        request: Request,
        adapter: Annotated[list[str], Query(description="Who answers, several times for several; else all.")] = [],  # noqa: B006
        name: Annotated[str, Query(max_length=LONGEST_NAME, description="What the sound is called.")] = "sound",
        form: Annotated[Literal["json", "csv", "jams"], Query(description="Of the answer.")] = "json",
    ) -> Response:
        """The sound is the body of the request, in any format that sordino reads. JSON is as of `sordino predict`."""
        with _told(), desk.place() as place, _sound_file(name) as path:
            async with asyncio.timeout(place.left_s):
                with path.open("wb") as file:
                    async for chunk in request.stream():
                        file.write(chunk)
                work = place.submit(lambda go_on: residents.answer(path, adapter, name, go_on))
                return _written(*await asyncio.wrap_future(work), form)

    if swap:

        @app.put("/v1/adapters/{name}", status_code=201, summary="Add an adapter", responses=ERRORS)
        def add(
            name: str,
            description: Annotated[bytes, File(description="The adapter's `adapter.json`.")],
            tensors: Annotated[bytes, File(description="Its `adapter.safetensors`.")],
        ) -> Resident:
            """Only onto weights that are here already."""
            with _told(), desk.place() as place, tempfile.TemporaryDirectory(prefix="sordino-") as folder:
                (Path(folder) / "adapter.json").write_bytes(description)
                (Path(folder) / "adapter.safetensors").write_bytes(tensors)
                try:
                    return place.result(lambda go_on: residents.add(name, folder, beside=True))
                except ValueError as error:
                    raise type(error)(one_line(error).replace(folder, name)) from None

        @app.delete("/v1/adapters/{name}", status_code=204, summary="Remove an adapter", responses={404: ERRORS[404]})
        def remove(name: str) -> None:
            with _told():
                residents.remove(name)

    return app


def _about(desk: Desk) -> str:
    limits = desk.limits
    return (f"Limits: {limits.upload_mb:g} MB and {limits.sound_s:g} s of sound for each request, {limits.parallel} "
            f"requests at once, {limits.queue} waiting, {limits.timeout_s:g} s from request to answer, "
            f"{limits.adapters} adapters.")  # fmt: skip


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong, as an answer of HTTP."""
    try:
        yield
    except tuple(STATUS) as error:
        status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
        told = str(error) or "no answer in time; send less sound, or ask again later"
        raise HTTPException(status, told[:300], {"Retry-After": str(RETRY_S)} if status == 503 else None) from error


@contextmanager
def _sound_file(name: str) -> Iterator[Path]:
    """An empty file for a sound; of what it is called, only a known suffix is kept, for decoders that look at it."""
    suffix = Path(name).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="sordino-") as folder:
        yield Path(folder) / f"sound{suffix if suffix in FORMATS else ''}"


def _written(answer: FileAnswer, tasks: dict[str, Any], form: str) -> Response:
    if form == "csv":
        return PlainTextResponse(to_csv([ANSWER_COLUMNS, *answer_rows(answer, tasks)]), media_type="text/csv")
    if form == "jams":
        return Response(to_jams(answer, tasks), media_type="application/json")
    return JSONResponse(answer.plain())


class _BodyLimit:
    """Refuses bodies that are too large: at once where their length is told, else as soon as they are.

    Args:
        app: what is asked else.
        most_bytes: largest body.
    """

    def __init__(self, app: Any, most_bytes: int):
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refusal = HTTPException(413, f"larger than the {self.most_bytes / 1e6:g} MB that this server grants")
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if not told.isdigit() or int(told) > self.most_bytes:
            return await JSONResponse({"detail": refusal.detail}, 413)(scope, receive, send)
        n_bytes = 0

        async def counted() -> Any:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.most_bytes:
                raise refusal
            return message

        await self.app(scope, counted, send)
