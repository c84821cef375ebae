"""What the demo looks like: numbered steps, ticks, who says what. Colour only where a terminal wants it."""

import os
import sys


class Screen:
    """Writes for a person; the same words without colour for a file."""

    def __init__(self, out=sys.stdout):
        self._out = out
        self.is_terminal = out.isatty()
        self._is_coloured = self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        is_utf8 = (out.encoding or "").lower().replace("-", "") == "utf8"
        self._tick, self._cross, self._bar, self._dot = ("✓", "✗", "─", "·") if is_utf8 else ("ok", "!!", "-", "-")
        self._step = 0
        out.reconfigure(errors="replace", line_buffering=True)

    def title(self, left: str, right: str) -> None:
        self._line()
        self._line(f"  {self._paint('1;36', left)} {self._paint('2', self._dot + ' ' + right)}")

    def step(self, text: str) -> None:
        self._step += 1
        self._line()
        self._line(f"  {self._paint('1;36', str(self._step))}  {self._paint('1', text)}")

    def done(self, text: str, took: str = "") -> None:
        self._line(f"     {self._paint('32', self._tick)} {text + '  ':<66}{self._paint('2', took)}".rstrip())

    def struck(self, text: str) -> None:
        self._line(f"     {self._paint('1;31', self._cross)} {self._paint('31', text)}")

    def speech(self, nick: str, text: str, note: str = "") -> None:
        colour = {"Alice": "35", "Bob": "34"}.get(nick, "33")
        self._line(f"     {self._paint(colour, f'{nick:>7}')}  {text + '  ':<59}{self._paint('2', note)}".rstrip())

    def fact(self, name: str, text: str) -> None:
        self._line(f"     {self._paint('2', f'{name:<10}')}{text}")

    def rule(self) -> None:
        self._line()
        self._line("  " + self._paint("2", self._bar * 76))

    def says(self, text: str) -> None:
        self._line(f"  {text}".rstrip())

    def failure(self, text: str) -> None:
        self._line()
        self._line(f"  {self._paint('1;31', self._cross)} {text}")

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if text and self._is_coloured else text

    def _line(self, text: str = "") -> None:
        print(text, file=self._out)
