"""What MkDocs lacks for this repository: its packages by their names, and pages that link to files outside of docs/."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PLACE = "repository"
LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s:]+)(?=[)#])")
_packages = tempfile.TemporaryDirectory()


@event_priority(100)  # before mkdocstrings reads its paths
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay the packages out as they are imported: folders at the top level do not show that they are hitfabric's."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package, folder in settings["package-dir"].items():
        link = Path(_packages.name, *package.split("."))
        link.parent.mkdir(exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(ROOT / folder, target_is_directory=True)
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [_packages.name]
    return config


def source_of(uri: str) -> Path:
    """File of the repository that a file of the site was made from."""
    return ROOT / uri.removeprefix(f"{PLACE}/") if uri.startswith(f"{PLACE}/") else DOCS / uri


def place_of(path: Path) -> str:
    """Where a file of the repository is in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"{PLACE}/{path.relative_to(ROOT).as_posix()}"


def linked_files(page: Path) -> set[Path]:
    """Files of the repository outside of docs/ that a page links to."""
    targets = LINK.finditer(page.read_text(encoding="utf-8"))
    paths = {(page.parent / found["target"]).resolve() for found in targets}
    return {path for path in paths if path.is_file() and path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take linked files into the site, and what these link to."""
    waiting = [page.abs_src_path for page in files.documentation_pages()]
    while waiting:
        for path in sorted(linked_files(Path(str(waiting.pop())))):
            if files.get_file_from_path(place_of(path)) is None:
                files.append(File.generated(config, place_of(path), abs_src_path=str(path)))
                waiting += [str(path)] if path.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the places in the site."""
    source = source_of(page.file.src_uri)

    def place(found: re.Match[str]) -> str:
        path = (source.parent / found["target"]).resolve()
        if not path.is_file() or not path.is_relative_to(ROOT):
            return found["target"]  # MkDocs judges it
        return os.path.relpath(place_of(path), Path(page.file.src_uri).parent)

    return LINK.sub(place, markdown)
