"""Chromium without a window, and poppler's programs: what a page or a PDF looks like to others."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from PIL import Image

from tests.peers.processes import end, program, run

_SECONDS = 60.0
A4_LANDSCAPE = (841.89, 595.28)
"""Width and height, in points."""
_MM = 72 / 25.4

# What a page says of itself when it has been laid out: is anything wider than its frame?
_PROBE = """<script>addEventListener("load", () => {
const cells = [...document.querySelectorAll("td, th, section, h1, p")];
const wide = cells.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent);
const root = document.documentElement;
document.body.dataset.seen = JSON.stringify({wide, scroll: root.scrollWidth, window: root.clientWidth});
});</script>"""


@dataclass(frozen=True)
class Layout:
    """What a page says of itself: the texts that are wider than their frames, its width and the window's, in pixels."""

    wide: tuple[str, ...]
    scroll: int
    window: int


@dataclass(frozen=True)
class Word:
    """One word of a PDF, where it stands on its page, in points from the left and the top."""

    page: int
    text: str
    left: float
    top: float
    right: float
    bottom: float


def screenshot(page: Path, to: Path, width: int, height: int) -> Image.Image:
    """Return a picture of a page in a window of this size, in pixels."""
    _chromium(page.parent, "--hide-scrollbars", f"--window-size={width},{height}", f"--screenshot={to}", page.as_uri())
    with Image.open(to) as picture:
        return picture.convert("L")


def print_to_pdf(page: Path, to: Path) -> None:
    """Print a page as its style sheet says, without the browser's own header and footer."""
    _chromium(page.parent, "--no-pdf-header-footer", f"--print-to-pdf={to}", page.as_uri())


def layout(page: Path, width: int) -> Layout:
    """Return how a page is laid out in a window of this width."""
    probed = page.with_suffix(".probed.html")
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
    said = _chromium(page.parent, "--hide-scrollbars", f"--window-size={width},1000", "--dump-dom", probed.as_uri())
    found = re.search(r'data-seen="([^"]*)"', said)
    assert found, said[-2000:]
    seen = json.loads(unescape(found[1]))
    return Layout(tuple(seen["wide"]), seen["scroll"], seen["window"])


def text_of(pdf: Path) -> str:
    """Return a PDF's text, as poppler reads it."""
    result = run([program("pdftotext", "poppler-utils"), "-layout", pdf, "-"])
    assert result.returncode == 0, result.stderr
    return result.stdout


def words(pdf: Path) -> list[Word]:
    """Return a PDF's words with their places."""
    result = run([program("pdftotext", "poppler-utils"), "-bbox", pdf, "-"])
    assert result.returncode == 0, result.stderr
    return list(_words(result.stdout))


def _words(said: str) -> Iterator[Word]:
    pattern = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">([^<]*)</word>')
    for number, page in enumerate(said.split("<page ")[1:], 1):
        for match in pattern.finditer(page):
            left, top, right, bottom = map(float, match.groups()[:4])
            yield Word(number, unescape(match[5]), left, top, right, bottom)


def beyond_margins(found: Sequence[Word], millimetres: float) -> list[Word]:
    """Return the words that come nearer than this to an edge of an A4 landscape page, where printers do not print."""
    width, height = A4_LANDSCAPE
    near = millimetres * _MM
    return [
        word
        for word in found
        if word.left < near or word.top < near or word.right > width - near or word.bottom > height - near
    ]


def facts(pdf: Path) -> dict[str, str]:
    """Return what a PDF says of itself, by poppler's names."""
    result = run([program("pdfinfo", "poppler-utils"), pdf])
    assert result.returncode == 0, result.stderr
    lines = (line.partition(":") for line in result.stdout.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def fonts(pdf: Path) -> dict[str, bool]:
    """Return a PDF's fonts, and of each whether the PDF holds it."""
    result = run([program("pdffonts", "poppler-utils"), pdf])
    assert result.returncode == 0, result.stderr
    return {line.split()[0]: line.split()[-5] == "yes" for line in result.stdout.splitlines()[2:]}


def pictures(pdf: Path, folder: Path, dots_per_inch: int = 60) -> list[Image.Image]:
    """Return a picture of each page, in grey."""
    stem = folder / pdf.stem
    result = run([program("pdftoppm", "poppler-utils"), "-r", str(dots_per_inch), "-gray", pdf, stem])
    assert result.returncode == 0, result.stderr
    found = []
    for file in sorted(folder.glob(f"{pdf.stem}-*.pgm")):
        with Image.open(file) as picture:
            found.append(picture.convert("L"))
    return found


def ink(picture: Image.Image) -> float:
    """Return which part of a picture is darker than the middle."""
    histogram = picture.histogram()
    return sum(histogram[:128]) / sum(histogram)


def _chromium(folder: Path, *options: str) -> str:
    """Run Chromium to its end; it and its children are ended when it does not end by itself."""
    command = [
        program("chromium", "chromium"),
        "--headless",
        "--no-sandbox",  # it shows pages that we made, and root may not have one
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        f"--user-data-dir={folder / 'chromium'}",
        *options,
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complaints = process.communicate(timeout=_SECONDS)
    finally:
        end(process)
    assert process.returncode == 0, complaints.decode(errors="replace")[-2000:]
    return said.decode(errors="replace")
