"""The choice of roles and of values by role, shared by the methods that have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeAlias

from sordino.contracts import Backbone, Method, Site
from sordino.rules import Filled, unknown

Roles: TypeAlias = Annotated[Sequence[str], Filled()]


@dataclass(kw_only=True)
class RoleMethod(Method):
    """A method at the sites of some roles.

    A subclass declares `roles` as a field with a default. The default adapts to the backbone (a HuBERT has no
    `conv.in`); a role that a user names must exist. Number fields may be tables by role:
    `r = {"attn.q" = 4, default = 2}`; a role left out there gets its `default`, or else the field's.

    Attributes:
        roles: the roles it is attached at.
    """

    roles: Roles = ()  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [*self.roles, "default"]
        tables = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, table in tables.items():
            for role in table if isinstance(table, Mapping) else ():
                if role not in known:
                    raise ValueError(unknown(f"role in {self.name}.{name}", role, known))

    def sites(self, backbone: Backbone) -> list[Site]:
        """The chosen sites of the backbone.

        Raises:
            ValueError: a role that was named matches nothing.
        """
        roles = self.roles
        if roles == type(self).roles:
            present = {site.role for site in backbone.sites()}
            roles = tuple(role for role in roles if role in present) or roles
        return self.choose(backbone, roles)

    def at(self, name: str, role: str) -> Any:
        """The value of the field `name` for a role."""
        value = getattr(self, name)
        if isinstance(value, Mapping):
            return value.get(role, value.get("default", getattr(type(self), name)))
        return value
