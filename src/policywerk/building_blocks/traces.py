# Tangled from book/1983-barto-sutton-anderson.md
"""Eligibility traces: the share of what came before in what happens now."""

from collections.abc import Hashable, MutableMapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Traces(Generic[Key]):
    """A number for each key that was visited, fading by the factor `decay` a step.

    A visit adds its mark to what is there; with `replacing`, it takes its place.
    Traces weaker than `faintest` are forgotten.
    """

    def __init__(
        self, decay: float, *, replacing: bool = False, faintest: float = 0.0
    ) -> None:
        if not 0.0 <= decay <= 1.0:
            raise ValueError(f"decay={decay}: expected a factor from 0 to 1")
        if not faintest >= 0.0:
            raise ValueError(f"faintest={faintest}: expected 0 or more")
        self.decay, self.replacing, self.faintest = decay, replacing, faintest
        self.strength: dict[Key, float] = {}

    def visit(self, key: Key, mark: float = 1.0) -> None:
        """One step passes: all traces fade, and the key is marked."""
        decay, faintest = self.decay, self.faintest
        faded = {k: decay * e for k, e in self.strength.items() if abs(e) > faintest}
        faded[key] = mark if self.replacing else faded.get(key, 0.0) + mark
        self.strength = faded

    def credit(self, table: MutableMapping[Key, float], amount: float) -> None:
        """Give every key its share of the amount, as large as its trace."""
        for key, strength in self.strength.items():
            table[key] += amount * strength

    def clear(self) -> None:
        """Forget all visits: an episode begins, and owes nothing to the last."""
        self.strength = {}
