"""What the page opens: what was uploaded to it, and nothing else that a request names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr  # pyright: ignore[reportMissingImports]
from fastapi.responses import JSONResponse  # pyright: ignore[reportMissingImports]
from gradio.utils import get_upload_folder  # pyright: ignore[reportMissingImports]

FILES = "/gradio_api/file"  # the route, before `=` or `/` and a path
REFUSAL = "this file was not uploaded to this page"


class Page(gr.Blocks):
    """Blocks that open nothing but what was uploaded to them.

    Gradio asks whether a file was uploaded only after `launch`, which a page that is mounted never sees: it would copy
    any file of this machine that a request names, and fetch any address.
    """

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """As Gradio's, of checked inputs."""
        _check_uploaded(inputs)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)


class UploadsOnly:
    """Gives out nothing but uploads: Gradio redirects to any address in place of a path, or fetches what is there.

    Args:
        app: what is asked else.
    """

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what asks for no file, or for an upload."""
        _, is_file, path = scope.get("path", "").partition(FILES)
        refused = is_file and not _is_upload(path[1:])
        await (JSONResponse({"detail": REFUSAL}, 403) if refused else self.app)(scope, receive, send)


def _is_upload(path: str) -> bool:
    """Whether a path, its links followed, is in the folder of uploads."""
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except ValueError:  # a zero byte
        return False


def _check_uploaded(value: Any) -> None:
    """Raise an error where a path in what a request gave, however deep, is not of the folder of uploads."""
    if isinstance(value, Mapping) and value.get("path") is not None and not _is_upload(str(value["path"])):
        raise gr.Error(REFUSAL, print_exception=False)
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            _check_uploaded(each)
