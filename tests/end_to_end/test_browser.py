"""What an engineer sees of the limiter in Prefect's two UIs, in a real browser.

`SCREENSHOTS=docs/images pytest tests/end_to_end/test_browser.py` takes the README's pictures anew, of a longer sync.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from flows.artifact import artifact_key
from flows.cli.demo import picture_path
from simulator import Simulator, World
from state import Bucket

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look with: apt-get install chromium"),
]

LIMITER = artifact_key(Bucket("notion"))
UIS = {"v2": "/v2", "v1": ""}
"""Prefect's two, and where they are."""
SHOWN_IN = {"v2": "light", "v1": "dark"}
"""The theme of each one's picture for the README."""
FOR_README = os.environ.get("SCREENSHOTS")
CARD = {"light": [255, 255, 255], "dark": [22, 27, 34]}
"""The picture's own background, which must follow the theme."""
LOOK = """async image => {
    await image.decode()
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight)
    const paper = canvas.getContext("2d")
    paper.drawImage(image, 0, 0)
    const pixels = new Uint32Array(paper.getImageData(0, 0, canvas.width, canvas.height).data.buffer)
    return {size: [image.naturalWidth, image.naturalHeight], colours: new Set(pixels).size,
            card: [...paper.getImageData(canvas.width / 2, 8, 1, 1).data.slice(0, 3)]}
}"""


@pytest.fixture
def world() -> World:
    return World(seed=3, users=150, pages=9000 if FOR_README else 100, data_sources=2, rows=120)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(FOR_README).resolve() if FOR_README else tmp_path


@pytest.fixture
def browser() -> Iterator[Browser]:
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield started
        started.close()


def test_the_limiter_is_seen_in_both_uis_and_both_themes(
    aimd, vendor: Simulator, server: str, browser: Browser, pictures: Path
):
    vendor.set_policy("token:rate=4,burst=4" if FOR_README else "token:rate=1.9,burst=1")
    code, report, errors = aimd.run("sync", "notion", "--json", "--stream", "users", "--stream", "pages")
    assert code == 0, errors
    assert report["throttled"] > 0
    limiter, overview = newest(server, LIMITER), newest(server, "limiters")
    assert picture_path(server) == f"/v2/artifacts/artifact/{limiter['id']}"

    for ui, root in UIS.items():
        page = opened(browser, server)
        page.goto(f"{server}{root}/artifacts/artifact/{limiter['id']}")
        expect(page.get_by_text(limiter["description"]).first).to_be_visible(timeout=15_000)
        picture = page.get_by_alt_text("The learned rate of notion/default/default over time")
        for theme, card in CARD.items():
            page.emulate_media(color_scheme=theme)
            seen = picture.evaluate(LOOK)
            assert seen["size"] == [720, 320]
            assert seen["colours"] > 50, "lines, letters and their smooth edges"
            assert seen["card"] == card or (ui == "v1" and seen["card"] == CARD["dark"]), "V1 is dark by itself"
            if theme == SHOWN_IN[ui]:
                page.screenshot(path=pictures / f"limiter-{ui}.png")
        run = page.get_by_role("link", name=limiter["flow_run_id"][:8]).first
        assert run.evaluate("link => link.href") == f"{server}{root}/runs/flow-run/{limiter['flow_run_id']}"
        page.close()

    page = opened(browser, server)
    page.goto(f"{server}/v2/artifacts/artifact/{overview['id']}")
    expect(page.get_by_role("row").nth(1)).to_contain_text("notion/default/default", timeout=15_000)
    page.screenshot(path=pictures / "limiters-v2.png")
    page.get_by_role("link", name="notion/default/default").click()
    expect(page.get_by_text(limiter["description"]).first).to_be_visible()
    assert urlsplit(page.url).path == f"/v2/artifacts/key/{LIMITER}"
    assert {file.name: file.stat().st_size < 150_000 for file in pictures.glob("*.png")} == {
        "limiter-v1.png": True,
        "limiter-v2.png": True,
        "limiters-v2.png": True,
    }


def newest(server: str, key: str) -> dict:
    asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
    [artifact] = httpx.post(f"{server}/api/artifacts/filter", json=asked).raise_for_status().json()
    return artifact


def opened(browser: Browser, server: str) -> Page:
    """A page that reaches nobody but the server: the UI asks for a host of an analytics company."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")

    def only_ours(route: Route) -> None:
        route.continue_() if urlsplit(route.request.url).hostname == urlsplit(server).hostname else route.abort()

    page.route("**/*", only_ours)
    return page
