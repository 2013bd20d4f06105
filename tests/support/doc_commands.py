"""What pages of documentation tell their readers to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^```\w*\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}.*)?\n)+", flags=re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(?P<code>[^`]+)`(?!`)")
PROGRAM = re.compile(r"^(?:\$ )?(?P<line>hitfabric(?: .*)?)$")


def command_lines(text: str) -> Iterator[list[str]]:
    """Arguments of each whole `hitfabric` command in fenced and indented blocks, quoted and continued as in a shell."""
    fences = [found["code"] for found in FENCE.finditer(text)]
    indented = [found[0] for found in INDENTED.finditer(FENCE.sub("", text))]
    for block in fences + indented:
        for line in block.replace("\\\n", " ").splitlines():
            found = PROGRAM.match(line.strip())
            if found is not None and not line.strip().endswith(":"):
                yield _arguments(found["line"])


def mentioned_commands(text: str) -> Iterator[list[str]]:
    """Arguments of each `hitfabric` command in running text, which may leave out what does not matter there."""
    for found in INLINE.finditer(FENCE.sub("", text)):
        code = " ".join(found["code"].split())
        if re.match(r"hitfabric [a-z-]", code):
            yield _arguments(code)


def mentioned_files(text: str) -> Iterator[Path]:
    """Scripts of the repository that are run or named with their folder."""
    for found in re.finditer(r"\b(?:benchmarks|examples|tests)/[\w/.-]*\w", text):
        yield Path(found[0])


def _arguments(line: str) -> list[str]:
    arguments = shlex.split(line, comments=True)[1:]
    ends = [index for index, word in enumerate(arguments) if word in {">", "|", "&&", ";", "&"}]
    return arguments[: ends[0]] if ends else arguments
