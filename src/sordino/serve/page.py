"""The page: drop or record a sound and see what was heard, compare two adapters, label a folder.

What is shown is made elsewhere (`player.py`, `pictures.py`), what is learned too (`labelling.py`): here are only the
controls and what they call. The page answers through the same desk as the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr  # pyright: ignore[reportMissingImports]
import numpy as np

from sordino.files import one_line
from sordino.serve import pictures
from sordino.serve.labelling import SAID
from sordino.serve.limits import Desk
from sordino.serve.player import outline, player
from sordino.serve.residents import Residents
from sordino.serve.rooms import Rooms
from sordino.serve.uploads import Page, UploadsOnly

ROWS = 12
TITLE = "sordino"
HEAD = "# sordino\nWhat a music model hears, with small adapters clipped on.\n\nThe same by HTTP: [API](docs)"
CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def mount(api: Any, residents: Residents, desk: Desk, rooms: Rooms | None = None) -> Any:
    """Put the page at the root of the API's server.

    Args:
        api: see `make_api`.
        residents: what answers.
        desk: whose turn it is.
        rooms: folders that may be labelled; None for no tab.
    """
    blocks = _page(residents, desk, rooms)
    blocks.queue(max_size=desk.limits.parallel + desk.limits.queue, default_concurrency_limit=desk.limits.parallel)
    theme = gr.themes.Soft(
        primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    api.add_middleware(UploadsOnly)
    return gr.mount_gradio_app(api, blocks, path="/", theme=theme, css=CSS, max_file_size=desk.limits.upload_bytes,
                               ssr_mode=False, footer_links=[])  # fmt: skip


def _page(residents: Residents, desk: Desk, rooms: Rooms | None) -> Any:
    names = list(residents)
    with Page(title=TITLE, analytics_enabled=False) as blocks:
        with gr.Row(equal_height=True):
            gr.Markdown(HEAD, container=False)
            sound = gr.Audio(sources=["upload", "microphone"], type="filepath", editable=False, scale=2, buttons=[],
                             label="Drop a sound here, or record one", elem_id="sordino-sound")  # fmt: skip
        with gr.Tabs():
            with gr.Tab("Listen"):
                with gr.Row(equal_height=True):
                    who = gr.CheckboxGroup(names, value=names[:8], label="Who answers", scale=5)
                    again = gr.Button("Ask again", scale=1)
                shown, told = gr.HTML(), gr.HTML()
            with gr.Tab("Compare"):
                with gr.Row():
                    pair = zip(_pair(residents), ("First", "Second"), strict=True)
                    first, second = (gr.Dropdown(names, value=name, label=label) for name, label in pair)
                compare = gr.Button("Compare", variant="primary")
                both = gr.HTML()
            saved = _labelling(rooms, sound) if rooms else None
        asked = {"inputs": [sound, who], "outputs": [shown, told], "fn": _listener(residents, desk)}
        gr.on([sound.upload, sound.stop_recording, again.click], **asked, api_visibility="private")
        compare.click(_comparer(residents, desk), [sound, first, second], both, api_visibility="private")
        blocks.load(lambda: _choices(residents), None, [who, first, second], api_visibility="private")
        if saved:
            saved.then(lambda: _choices(residents), None, [who, first, second], api_visibility="private")
    return blocks


def _pair(residents: Residents) -> list[str | None]:
    """Two residents that can be compared: the first two of one task, where there are such."""
    seen: dict[tuple[str, ...], str] = {}
    for each in residents.listed():
        kinds = tuple(sorted(each.tasks.values()))
        if kinds in seen:
            return [seen[kinds], each.name]
        seen[kinds] = each.name
    return [*list(residents)[:2], None, None][:2]


def _choices(residents: Residents) -> list[Any]:
    """Residents come and go, so every page that is opened asks who is there."""
    return [gr.update(choices=list(residents)) for _ in range(3)]


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong, as the page tells it."""
    try:
        yield
    except (ValueError, OSError, LookupError, RuntimeError) as error:
        raise gr.Error(one_line(error), print_exception=False) from error


def _listener(residents: Residents, desk: Desk) -> Callable[..., tuple[str, str]]:
    def listen(path: str | None, names: list[str]) -> tuple[str, str]:
        if path is None:
            return "", ""
        if not names:
            raise gr.Error("nobody is asked: tick an adapter", print_exception=False)

        def work(go_on: Callable[[], None]) -> tuple[str, str]:
            answer, tasks = residents.answer(path, names, Path(path).name, go_on)
            source = f"gradio_api/file={quote(path)}"
            return player(answer, tasks, outline(path, answer.duration_s), source), pictures.card(answer, tasks)

        with _told(), desk.place() as place:
            return place.result(work)

    return listen


def _comparer(residents: Residents, desk: Desk) -> Callable[..., str]:
    def compare(path: str | None, first: str, second: str) -> str:
        if path is None:
            raise gr.Error("drop or record a sound first", print_exception=False)

        def work(go_on: Callable[[], None]) -> str:
            answers = [(name, *residents.answer(path, [name], Path(path).name, go_on)) for name in (first, second)]
            return pictures.compared(answers)

        with _told(), desk.place() as place:
            return place.result(work)

    return compare


def _labelling(rooms: Rooms, sound: Any) -> Any:
    """The tab for labels; gives the event after which there may be a new resident."""
    with gr.Tab("Label"):
        with gr.Row():
            folder = gr.Dropdown(rooms.names, value=rooms.names[0], label="Folder", scale=2)
            tag = gr.Textbox("good", label="Tag", scale=2, max_lines=1)
            by = gr.Radio(["likely", "unsure"], value="likely", label="Ask about what is", scale=2)
            start = gr.Button("Open", variant="primary", scale=1)
        said = gr.HTML(elem_id="sordino-said")
        with gr.Row():
            with gr.Column(scale=3):
                table = gr.Dataframe(headers=["song", "likeness", "said"], interactive=False, elem_id="sordino-table",
                                     label="A click plays a song", datatype=["str", "number", "str"])  # fmt: skip
            with gr.Column(scale=2):
                title = gr.HTML()
                excerpt = gr.Audio(type="numpy", label="What speaks most for it", interactive=False, buttons=[])
                with gr.Row():
                    yes, no = gr.Button("Confirm", variant="primary"), gr.Button("Reject", variant="stop")
                with gr.Row():
                    like, like_sound = gr.Button("More like this"), gr.Button("Like the sound above")
                save = gr.Button("Save labels and adapter")
        song, listed = gr.State(None), gr.State([])
        view = [table, said, title, excerpt, song, listed]
        here = [folder, tag, by]

        def opened(folder, tag, by, progress=gr.Progress()):  # noqa: B008
            with _told():
                rooms.open(folder, lambda done, total: progress((done, total), "songs heard"))
                return _view(rooms, folder, tag, by)

        def marked(is_one):
            def mark(folder, tag, by, song):
                with _told():
                    if song is not None:
                        rooms.open(folder).mark(song, tag, is_one)
                    return _view(rooms, folder, tag, by)

            return mark

        def alike(folder, tag, by, song):
            with _told():
                return _view(rooms, folder, tag, by, song)

        def alike_sound(folder, tag, by, path):
            with _told():
                if path is None:
                    raise ValueError("drop or record a sound first")
                return _view(rooms, folder, tag, by, rooms.open(folder).ear.file(path))

        def chosen(folder, tag, listed, event: gr.SelectData):
            with _told():
                song = listed[event.index[0]]
                return *_heard(rooms.open(folder), tag, song), song

        private = {"api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "labels"}
        gr.on([start.click, tag.submit, by.change], opened, here, view, **private)
        yes.click(marked(True), [*here, song], view, **private)
        no.click(marked(False), [*here, song], view, **private)
        like.click(alike, [*here, song], view, **private)
        like_sound.click(alike_sound, [*here, sound], view, **private)
        table.select(chosen, [folder, tag, listed], [title, excerpt, song], **private)

        def saved(folder):
            with _told():
                gr.Info(rooms.save(folder))

        return save.click(saved, [folder], None, **private)


def _view(rooms: Rooms, folder: str, tag: str, by: str, example: Any = None) -> tuple[Any, ...]:
    """The songs to be asked about, the state of the labels, and the first song to be heard."""
    labelling = rooms.open(folder)
    tag = tag.strip()
    ranked = labelling.suggest(tag, ROWS, by, example)  # type: ignore[arg-type]
    marks = labelling.marks.get(tag, {})
    rows = [[labelling.heard.names[song], round(value, 3), ""] for song, value in ranked]
    rows += [[labelling.heard.names[song], None, SAID[mark]] for song, mark in list(marks.items())[::-1]]
    listed = [song for song, _ in ranked] + list(marks)[::-1]
    what = "probability" if labelling.can_learn(tag) and example is None else "likeness"
    song = listed[0] if listed else None
    table = gr.update(value=rows, headers=["song", what, "said"])
    return table, _state(labelling, tag), *_heard(labelling, tag, song), song, listed


def _heard(labelling: Any, tag: str, song: int | None) -> tuple[Any, Any]:
    if song is None:
        return "", None
    wave = labelling.excerpt(song, tag)
    question = f"<b>{pictures.escaped(labelling.heard.names[song])}</b><br>Is it <b>{pictures.escaped(tag)}</b>?"
    return question, (wave.sample_rate_hz, np.clip(32767 * wave.samples, -32768, 32767).astype(np.int16))


def _state(labelling: Any, tag: str) -> str:
    marks = list(labelling.marks.get(tag, {}).values())
    agreement = labelling.agreement(tag)
    told = [f"{len(labelling.heard.names)} songs", f"{marks.count(True)} confirmed", f"{marks.count(False)} rejected"]
    if not labelling.can_learn(tag):
        told.append("confirm one and reject one, then the head learns with every answer")
    if agreement is not None:
        told.append(f"{agreement:.0%} of what you said is guessed right from the rest (half is chance)")
    told += [f"{len(labelling.heard.broken)} files cannot be read"] if labelling.heard.broken else []
    return pictures.escaped(" · ".join(told))
