"""The page in a browser: whole, quiet, and zoomed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hitfabric.reports import write_comparison

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LAPTOP = {"width": 1280, "height": 800}
SCREEN = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as tools:
        started = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


OVERLAPS = """
() => [...document.querySelectorAll("figure svg")].flatMap(svg => {
  const texts = [...svg.querySelectorAll("text")].filter(item => item.textContent.trim());
  const boxes = texts.map(item => [item.textContent.trim(), item.getBoundingClientRect()]);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  return boxes.flatMap(([name, a], place) => boxes.slice(place + 1).filter(([_, b]) => meet(a, b)).map(
    ([other]) => svg.getAttribute("aria-label") + ": " + name + " on " + other));
})
"""
WIDE_TABLES = """
() => [...document.querySelectorAll(".scroll")].filter(item => item.scrollWidth > item.clientWidth)
  .map(item => item.textContent)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "window"), [("light", LAPTOP), ("dark", LAPTOP), ("light", SCREEN)])
def test_the_page_opens_from_disk(browser: Any, sample_page: Path, scheme: str, window: dict[str, int]) -> None:
    page = browser.new_page(viewport=window, color_scheme=scheme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(sample_page.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= window["width"]
    assert page.evaluate(WIDE_TABLES) == [] and page.evaluate(OVERLAPS) == []
    targets = page.evaluate("[...document.querySelectorAll('nav a')].map(item => item.getAttribute('href'))")
    assert targets and all(page.locator(target).count() == 1 for target in targets)
    sizes = page.evaluate("[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().toJSON())")
    assert len(sizes) > 8 and all(size["width"] > 300 and size["height"] > 60 for size in sizes)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 251, 250)", "dark": "rgb(20, 24, 27)"}[scheme]
    page.close()


@pytest.mark.slow
def test_figures_are_zoomed_moved_and_put_back(browser: Any, sample_page: Path) -> None:
    page = browser.new_page(viewport=LAPTOP)
    page.goto(sample_page.as_uri())
    figure = page.locator("#event figure svg")
    figure.scroll_into_view_if_needed()
    whole = figure.get_attribute("viewBox")
    frame = figure.bounding_box()
    middle = (frame["x"] + frame["width"] / 2, frame["y"] + min(frame["height"], 500) / 2)
    page.mouse.move(*middle)
    page.mouse.wheel(0, -200)
    assert figure.get_attribute("viewBox") == whole  # without Ctrl the page scrolls
    figure.scroll_into_view_if_needed()
    frame = figure.bounding_box()
    middle = (frame["x"] + frame["width"] / 2, frame["y"] + 50)
    page.mouse.move(*middle)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    near = figure.get_attribute("viewBox")
    assert float(near.split()[2]) < float(whole.split()[2])
    page.mouse.down()
    page.mouse.move(middle[0] - 60, middle[1])
    page.mouse.up()
    moved = figure.get_attribute("viewBox")
    assert float(moved.split()[0]) > float(near.split()[0])
    figure.dblclick(position={"x": frame["width"] / 2, "y": 50})
    assert figure.get_attribute("viewBox").split() == whole.split()
    page.close()


@pytest.mark.slow
def test_a_comparison_fits_the_window(browser: Any, sample_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(sample_run, tmp_path / "other"))
    page = browser.new_page(viewport=LAPTOP)
    page.goto(write_comparison(sample_run, other).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= LAPTOP["width"]
    assert page.evaluate(WIDE_TABLES) == []
    assert page.locator("section").count() > 4
    page.close()
