"""The studio, driven in Debian's Chromium as a person would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.service import RunningService
from helpers.videos import write_video

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or ""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is not installed"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for two seconds, and a second one from the first second on."""
    from mien.media.images import read_image

    image = read_image(Path(__file__).parents[1] / "src/mien/assets/astronaut.jpg")
    face = image[0:240, 120:360]
    frames = []
    for number in range(40):
        whole = np.full((240, 560, 3), 110, np.uint8)
        whole[:, number : 240 + number] = face
        if number > 10:
            whole[:, 310:550] = face[:, ::-1]
        frames.append(whole)
    return write_video(tmp_path_factory.mktemp("film") / "two people.mp4", frames, fps=10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(film: Path) -> Iterator[Any]:
    """Chromium, with a film in place of the camera."""
    camera = film.with_suffix(".mjpeg")
    _write_mjpeg(film, camera)
    options = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


class Watched:
    """A page, with what it requested and complained about."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, accept_downloads=True, **context
        )
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(address)

    def _console(self, message: Any) -> None:
        # Chromium reports every refused request, such as that of a broken photo.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            self.problems.append(message.text)

    def _request(self, request: Any) -> None:
        if request.url.startswith(("http", "ws")):
            self.hosts.add(request.url.split("/")[2])

    def axe(self) -> list[str]:
        """Serious findings about accessibility."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
        found = axe.Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['nodes'][0]['html']}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def watched(browser: Any, service: RunningService) -> Iterator[Watched]:
    one = Watched(browser, f"{service.address}/")
    yield one
    assert one.problems == []
    assert one.hosts == {service.address.split("/")[2]}
    one.context.close()


def test_a_photo(watched: Watched, photo: Path, tmp_path: Path) -> None:
    page = watched.page
    (tmp_path / "bad.jpg").write_bytes(b"x")
    page.set_input_files("input[type=file]", [str(photo), str(tmp_path / "bad.jpg")])
    page.wait_for_selector(".bars")
    page.wait_for_selector(".photo .bad")
    assert "happiness, 99 %" in page.inner_text(".photo >> nth=0")
    assert "not an image" in page.inner_text(".photo >> nth=1")
    with page.expect_download() as waiting:
        page.click("text=CSV")
    assert "astronaut.jpg" in Path(waiting.value.path()).read_text()
    assert watched.axe() == []


def test_a_video(watched: Watched, film: Path, service: RunningService) -> None:
    page = watched.page
    page.check("text=annotated video")
    page.set_input_files("input[type=file]", str(film))
    page.wait_for_selector(".person .strip button", timeout=60_000)
    page.wait_for_selector(".card img")
    assert page.locator(".person").count() == 2
    assert page.locator(".peaks button").count() >= 2
    slider = page.locator("input[type=range]")
    # jump by a click into the curves, by a segment, and by keys
    box = page.locator(".u-over >> nth=0").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert float(slider.input_value()) == pytest.approx(2.0, abs=0.15)
    page.keyboard.press("Home")
    assert float(slider.input_value()) == 0
    for key, seconds in (("ArrowRight", 0.1), ("PageDown", 1.1), ("End", 4.0), ("PageUp", 3.0)):
        page.keyboard.press(key)
        assert float(slider.input_value()) == pytest.approx(seconds, abs=0.051), key
    page.click(".strip button >> nth=0")
    page.keyboard.press("ArrowDown")
    assert page.locator(".card.chosen").count() == 1
    # people
    page.fill(".card input >> nth=0", "Anna")
    page.keyboard.press("Tab")
    page.wait_for_selector("h2:has-text('Anna')")
    with page.expect_download() as waiting:
        page.click("summary:has-text('Export')")
        page.click("text=Faces, CSV")
    assert ",Anna" in Path(waiting.value.path()).read_text()
    for text, content in (
        ("Subtitles, WebVTT", b"Anna"),
        ("ELAN", b"Anna"),
        ("Report page", b"Anna"),
    ):
        with page.expect_download() as waiting:
            page.click("summary:has-text('Export')")
            page.click(f"text={text}")
        assert content in Path(waiting.value.path()).read_bytes()
    with page.expect_download() as waiting:
        page.click("summary:has-text('Export')")
        page.click("text=Annotated video")
    assert Path(waiting.value.path()).stat().st_size > 10_000
    page.click(".card >> nth=1 >> text=Hide")
    sync_api.expect(page.locator(".person")).to_have_count(1)
    page.click("text=Undo")
    sync_api.expect(page.locator(".person")).to_have_count(2)
    # boxes are drawn
    painted = page.evaluate(
        "[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 600, 200).data]"
        ".some((value) => value > 0)"
    )
    assert painted
    assert watched.axe() == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 800})
    assert watched.axe() == []
    assert page.evaluate("document.documentElement.scrollWidth <= 400")


def test_of_several_videos_all_arrive(
    watched: Watched, film: Path, service: RunningService, tmp_path: Path
) -> None:
    page = watched.page
    before = service.client.get("/v1/jobs").json()["total"]
    several = [shutil.copy(film, tmp_path / f"{name}.mp4") for name in "abc"]
    page.set_input_files("input[type=file]", [str(path) for path in several])
    for name in "abc":
        page.get_by_role("link", name=f"{name}.mp4").wait_for()
    assert "#/job/" not in page.url
    assert service.client.get("/v1/jobs").json()["total"] == before + 3


def test_live_and_comparison(watched: Watched, film: Path, service: RunningService) -> None:
    page = watched.page
    page.goto(f"{service.address}/#/live")
    page.click("text=Start the camera")
    page.wait_for_selector(".lamp:visible")
    page.wait_for_selector(".bars", timeout=30_000)
    page.wait_for_selector(".chart canvas")
    assert watched.axe() == []
    page.click("text=Stop")
    page.wait_for_selector(".lamp", state="hidden")
    for _ in range(2):
        with film.open("rb") as file:
            name = {"name": "b.mp4", "affect": "true"}
            job = service.client.post("/v1/videos", params=name, content=file).json()
    page.goto(f"{service.address}/#/")
    page.goto(f"{service.address}/#/job/{job['id']}")
    page.wait_for_selector(".person .strip button", timeout=60_000)
    page.goto(f"{service.address}/#/compare")
    page.wait_for_selector(".work .chart")
    assert page.locator(".work > div").count() == 2
    assert watched.axe() == []


def test_a_token_is_asked_for(browser: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token-of-the-test")
    options = ("--token-file", str(tmp_path / "token"))
    with RunningService(tmp_path / "data", *options) as running:
        one = Watched(browser, f"{running.address}/")
        one.page.wait_for_selector("dialog input")
        one.page.fill("dialog input", "secret-token-of-the-test")
        one.page.click("dialog button")
        one.page.wait_for_selector("text=None yet.")
        one.page.set_input_files("input[type=file]", str(photo))
        one.page.wait_for_selector(".bars")
        one.context.close()


def _write_mjpeg(film: Path, target: Path) -> None:
    """The frames of a video as JPEG files one after the other, as Chromium's camera wants them."""
    from mien.media.images import encode
    from mien.media.video import VideoSource

    with target.open("wb") as out:
        for frame in VideoSource(film):
            out.write(encode(frame.read(), "JPEG", quality=90))
