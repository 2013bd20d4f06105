"""The documentation's site: built without a warning, read without a network."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(?P<address>(?:https?:)?//[^\" >]*)")
PAGES = ("index.html", "faq.html", "kernels.html", "architecture.html", "api/quantization.html")


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    found = {page.name: LOADED.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}
    assert LOADED.findall('<script src="https://unpkg.com/x"></script>') == ["https://unpkg.com/x"]


def test_the_reference_documents_what_packages_export(site: Path) -> None:
    exported = {"core": "atomic_file", "quantization": "FixedPoint", "emulation": "make_executor", "detector": "Event"}
    for room, name in exported.items():
        assert f'id="hitfabric.{room}.{name}"' in (site / "api" / f"{room}.html").read_text(encoding="utf-8")


def test_lists_and_tables_are_not_left_as_text(site: Path) -> None:
    for page in site.rglob("*.html"):
        for paragraph in re.findall(r"<p>(.*?)</p>", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            assert not re.search(r"\n(?:\d+\.|[-*]) |\|---", paragraph), f"{page.name}: {paragraph[:200]}"


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_asks_no_other_host_and_search_finds(address: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    requests: list[str] = []
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for name in PAGES:
            page.goto(address + name, wait_until="load")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow == 0, f"{name} is {overflow} pixels too wide"
        page.goto(address + "index.html", wait_until="load")
        page.fill("input[name=query]", "deadlock")
        page.wait_for_selector(".md-search-result__item a[href*='fifo.html']")
        browser.close()
    assert requests
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert complaints == []
