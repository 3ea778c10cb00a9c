"""Orders for whichever process first comes to a point: files, taken by deleting them."""

from __future__ import annotations

from pathlib import Path


class Orders:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def give(self, point: str, what: str) -> None:
        part = self.folder / f".{point}"
        part.write_text(what)
        part.replace(self.folder / point)

    def take(self, point: str) -> str | None:
        """What to do here; one process gets it."""
        order = self.folder / point
        try:
            what = order.read_text()
            order.unlink()
        except FileNotFoundError:  # as ever, or another process was faster
            return None
        return what

    def waiting(self) -> set[str]:
        """Points to which nobody has come yet."""
        return {order.name for order in self.folder.iterdir()}

    def withdraw(self) -> None:
        for order in self.folder.iterdir():
            order.unlink(missing_ok=True)
