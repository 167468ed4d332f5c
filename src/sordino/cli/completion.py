"""`sordino completion`: what a shell needs to complete words."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell):
    """Print the script with which SHELL completes verbs, options and names.

    In bash and zsh: eval "$(sordino completion bash)"; in fish: sordino completion fish | source.

    Example: sordino completion bash
    """
    from click.shell_completion import get_completion_class

    from sordino.cli import group

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(group, {}, "sordino", "_SORDINO_COMPLETE").source())


def adapters(context, parameter, incomplete):
    """Names of adapters that ship with sordino, else folders."""
    from click.shell_completion import CompletionItem

    from sordino.adapters import names

    found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]


def everything(context, parameter, incomplete):
    """Names of backbones, methods, tasks and datasets, else folders."""
    from click.shell_completion import CompletionItem

    from sordino import registry

    known = sorted({name for kind in registry.FOLDERS for name in registry.names(kind)})
    found = [CompletionItem(name) for name in known if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]
