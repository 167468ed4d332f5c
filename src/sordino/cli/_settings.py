"""The settings of a run in the help of a verb, made from the fields themselves."""

from __future__ import annotations

import click


class WithSettings(click.Command):
    """A verb that takes KEY=VALUE; its help ends with all keys, their defaults, what they mean and what they want."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list behind the options."""
        from sordino.config import Config
        from sordino.settings import flat

        with formatter.section("Settings, as KEY=VALUE or in a TOML file"):
            formatter.write_dl([(str(setting), setting.told) for setting in flat(Config)], col_max=34)
        with formatter.section("Options of a task, backbone or method"):
            formatter.write_text(
                "method.r=4 sets one of those that `sordino show lora` lists; likewise task and backbone."
            )
