"""Screenshots of the report, compared with kept ones region by region; run as a program, it keeps them as they are now.

A region is a section of the page. Regions are compared by themselves, after scaling both to the same coarse grid: another
version of a font moves text by some pixels and makes a section some lines longer, and must not fail; a chart that is gone,
a wrong colour, a hidden column or an overlap must. Words and numbers are compared through the page's text, not here.
"""

import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from browser import Browser, Look, Page, find_chromium
from history import HISTORIES, NOW, make_history, write_history
from PIL import Image, ImageChops, ImageFilter

from rehook_sync.database.engine import open_database
from rehook_sync.jobs.audit import AuditLine, AuditReport, FeedAudit
from rehook_sync.models import Stream, Window
from rehook_sync.render.advice import Shell
from rehook_sync.report.coverage import build_coverage
from rehook_sync.report.figures import build_figures
from rehook_sync.report.page import render_page
from rehook_sync.rules.identity import SharedIds
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import Coverage
from rehook_sync.state.report import read_report

__all__ = ["KEPT", "LOOKS", "Shot", "difference", "make_page", "read_kept", "take"]

LOOKS = tuple(Look(size, dark) for size in ("desktop", "phone") for dark in (False, True))
KEPT = Path(__file__).parent / "acceptance" / "screenshots"
IN_DOCS = Path(__file__).parent.parent / "docs" / "images"
_REGIONS = """[...document.querySelectorAll("header, .verdict, section, footer")].map(each => {
    const box = each.getBoundingClientRect();
    const name = each.getAttribute("aria-labelledby") || each.id || each.tagName.toLowerCase();
    return [name, [box.x, box.y + scrollY, box.right, box.bottom + scrollY]];
})"""
_SCALE = 3
_CELL = 15
_LENGTH = 0.2
"""How much longer or shorter a region may be, as a part of its length."""
_FAR = 25
_FEED = Feed("web_prod", Stream.TRACKS)
_DOCS_HEIGHT = {"healthy": 1480, "trouble": 1480}


@dataclass(frozen=True)
class Shot:
    """A picture of a page and where its regions are: name -> left, top, right, bottom."""

    image: Image.Image
    regions: Mapping[str, tuple[float, float, float, float]]

    def crop(self, name: str) -> Image.Image:
        """One region's picture."""
        left, top, right, bottom = (int(each) for each in self.regions[name])
        right, bottom = min(right, self.image.width), min(bottom, self.image.height)
        return self.image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def make_page(kind: str, folder: Path) -> Path:
    """Write the report of one of the histories."""
    database_file = folder / f"{kind}.db"
    database_file.touch()
    url = f"sqlite:///{database_file}"
    write_history(url, make_history(kind), None)
    database = open_database(url, "STATE_URL", read_only=True)
    since = NOW - timedelta(days=90)
    facts = replace(read_report(database, since), now=NOW)
    database.close()
    path = folder / f"{kind}.html"
    coverage = build_coverage(make_audit()) if kind == "sources" else None
    path.write_text(render_page(build_figures(facts, Shell(), coverage), Shell()), encoding="utf-8")
    return path


def make_audit() -> AuditReport:
    """An audit of a week, in which one event of one day is missing."""
    window, coverage = Window(NOW - timedelta(days=7), NOW), Coverage(NOW - timedelta(minutes=20), NOW - timedelta(days=42))
    lines = []
    for back in range(7, -1, -1):
        day = f"{NOW - timedelta(days=back):%Y-%m-%d}"
        for event, rows in (("Order Completed", 31), ("Product Added", 70 + back), ("Product Viewed", 164 - 3 * back)):
            missing = 12 if back == 3 and event == "Order Completed" else 0
            due = 9 if back == 0 and event == "Product Viewed" else 0
            counts = {"sent": rows - missing - due, "missing": missing, "not_due": due}
            lines.append(AuditLine(day, _FEED, event, {name: n for name, n in counts.items() if n}))
    return AuditReport([FeedAudit(_FEED, window, coverage, lines, NOW - timedelta(days=3, hours=4), 0, SharedIds())], None, several=True)


def take(page: Page) -> Shot:
    """Take a picture of a page."""
    regions = {name: tuple(box) for name, box in page.run(_REGIONS)}
    return Shot(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), regions)


def difference(kept: Shot, found: Shot) -> dict[str, str]:
    """Return what differs: region -> how, nothing when both look alike."""
    if list(kept.regions) != list(found.regions):
        return {"regions": f"{list(kept.regions)} and {list(found.regions)}"}
    return {name: how for name in kept.regions if (how := _difference(kept.crop(name), found.crop(name)))}


def _difference(kept: Image.Image, found: Image.Image) -> str:
    scale = found.width / kept.width
    length = found.height / (kept.height * scale)
    if abs(length - 1) > _LENGTH and abs(found.height - kept.height * scale) > 60:
        return f"is {length:.2f} times as long"
    found = found.resize(kept.size, Image.Resampling.BOX)
    mean, far = _compare(kept, found)
    colour, colour_far = _compare(_chroma(kept), _chroma(found))
    is_alike = mean < 8 and far < 0.08 and colour < 4 and colour_far < 0.04
    return "" if is_alike else f"light {mean:.1f} and {100 * far:.1f}% far, colour {colour:.1f} and {100 * colour_far:.1f}% far"


def _compare(kept: Image.Image, found: Image.Image) -> tuple[float, float]:
    """Return how far cells are apart on average, of 255, and which part of them is far apart."""
    one, other = (_coarse(each) for each in (kept, found))
    cells = ImageChops.difference(one, other).convert("L").tobytes()
    return sum(cells) / len(cells), sum(each > _FAR for each in cells) / len(cells)


def _coarse(image: Image.Image) -> Image.Image:
    size = (max(image.width * _SCALE // _CELL, 4), max(image.height * _SCALE // _CELL, 3))
    return image.filter(ImageFilter.BoxBlur(2)).resize(size, Image.Resampling.BOX)


def _chroma(image: Image.Image) -> Image.Image:
    """Return how colourful each pixel is: charts are, text is not, so that fonts do not matter here."""
    red, green, blue = image.split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return ImageChops.subtract(lightest, ImageChops.darker(ImageChops.darker(red, green), blue))


def read_kept(kind: str, look: Look) -> Shot:
    """Return the kept picture, which is smaller than life."""
    regions = json.loads((KEPT / "regions.json").read_text(encoding="utf-8"))[f"{kind}-{look.name}"]
    with Image.open(KEPT / f"{kind}-{look.name}.png") as image:
        return Shot(image.convert("RGB"), {name: tuple(box) for name, box in regions.items()})


def shots(browser: Browser, folder: Path) -> Iterator[tuple[str, Look, Shot]]:
    """Take all pictures."""
    for kind in HISTORIES:
        path = make_page(kind, folder)
        for look in LOOKS:
            page = browser.open(path, look)
            yield kind, look, take(page)
            page.close()


def keep() -> None:
    """Keep the pictures as they are now: small ones for the tests, two for the documentation."""
    program = find_chromium()
    if program is None:
        sys.exit("there is no chromium here; run `make browser` as root, or install it")
    KEPT.mkdir(exist_ok=True)
    IN_DOCS.mkdir(exist_ok=True)
    regions = {}
    with tempfile.TemporaryDirectory() as folder, Browser(program, Path(folder) / "profile") as browser:
        for kind, look, shot in shots(browser, Path(folder)):
            name = f"{kind}-{look.name}"
            small = shot.image.resize((shot.image.width // _SCALE, shot.image.height // _SCALE), Image.Resampling.BOX)
            small.quantize(256, dither=Image.Dither.NONE).save(KEPT / f"{name}.png", optimize=True)
            regions[name] = {region: [round(each / _SCALE) for each in box] for region, box in shot.regions.items()}
            if kind in _DOCS_HEIGHT and look == Look("desktop", dark=kind == "trouble"):
                top = shot.image.crop((0, 0, shot.image.width, _DOCS_HEIGHT[kind]))
                top.save(IN_DOCS / f"report-{kind}.png", optimize=True)
    (KEPT / "regions.json").write_text(json.dumps(regions, indent=1) + "\n", encoding="utf-8")
    print(f"kept {len(regions)} screenshots in {KEPT} and two in {IN_DOCS}; look at them before you commit")  # noqa: T201


if __name__ == "__main__":
    keep()
