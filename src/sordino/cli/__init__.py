"""The command line: one file per verb, imported only when it is called."""

from __future__ import annotations

import importlib
import io
import sys
import traceback
from pathlib import Path

import click

from sordino.cli._common import common, forget, said, tell_at_end, with_common
from sordino.files import one_line
from sordino.memory import is_full, keep_freed_memory


class Verbs(click.Group):
    """A group whose commands are the files of this folder; each holds a click command named `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, by name."""
        files = Path(__file__).parent.glob("*.py")
        return sorted(path.stem.rstrip("_") for path in files if not path.stem.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        for stem in (cmd_name, f"{cmd_name}_"):
            if (Path(__file__).parent / f"{stem}.py").is_file() and not cmd_name.startswith("_"):
                return with_common(importlib.import_module(f"sordino.cli.{stem}").command)
        return None


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sordino")
def group() -> None:
    """Adapt large music models to your own task by training a tiny attached part.

    Example: sordino predict song.mp3
    """


STOPPED = "sordino: stopped; the same command goes on where it was"
MENDABLE = (ValueError, OSError, ImportError, EOFError, MemoryError, RecursionError, UnicodeError)


group.params += common()


def main() -> None:
    """Run the command line; what the user can mend is told in one line, without a traceback (`--debug` shows it)."""
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
    forget()
    try:
        group.main(standalone_mode=False)
        tell_at_end()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort as stop:  # click's for Ctrl-C, and for the end of its input
        if isinstance(stop.__cause__, EOFError):
            _tell(stop.__cause__)
            sys.exit(1)
        click.echo(STOPPED, err=True)
        sys.exit(130)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        click.echo(STOPPED, err=True)
        sys.exit(130)
    except MENDABLE as error:
        _tell(error)
        sys.exit(1)
    except RuntimeError as error:
        if not is_full(error):
            raise
        click.echo(f"sordino: {one_line(error)}; smaller batches or shorter segments take less memory", err=True)
        sys.exit(1)


def _tell(error: BaseException) -> None:
    if said("debug"):
        traceback.print_exception(error)
    click.echo(f"sordino: {one_line(error)}", err=True)
