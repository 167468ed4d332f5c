"""A trained change of a whole weight: what SHiRA, MiSS and HiRA share, which differ in how the change is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from sordino.petl._maps import LinearMap, apply
from sordino.sites import Part


class WeightChange(Part, ABC):
    """y + dW x for one linear map."""

    @abstractmethod
    def change(self, module: LinearMap) -> Tensor:
        """dW, in the shape of the module's weight."""

    def after(self, module: LinearMap, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what the change of the weight makes."""
        return output + apply(module, inputs[0], self.change(module)).to(output.dtype)

    def merged(self, module: LinearMap, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weight with the change added."""
        return {"weight": values["weight"] + self.change(module)}
