"""The report in a real browser: how it looks, on a desk and on a phone, by day and by night, and whether all can read it."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from browser import Browser, Look, find_chromium
from history import HISTORIES, make_history
from screenshots import LOOKS, difference, make_page, read_kept, take

CHROMIUM = find_chromium()
AXE = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here to look at the report with; `make browser` installs it as root"),
]
SERIF = "* { font-family: 'DejaVu Serif', 'Liberation Serif', serif !important; letter-spacing: .01em; }"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(str(CHROMIUM), tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each state."""
    folder = tmp_path_factory.mktemp("pages")
    return {kind: make_page(kind, folder) for kind in HISTORIES}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
@pytest.mark.parametrize("kind", HISTORIES)
def test_page_looks_as_it_did_and_all_can_read_it(browser: Browser, pages: dict[str, Path], kind: str, look: Look) -> None:
    page = browser.open(pages[kind], look)
    assert (page.requests, page.complaints) == ([], [])
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
    assert difference(read_kept(kind, look), take(page)) == {}, "if the page was meant to change: `make screenshots`"
    page.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.run(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.run(f"{AXE}.then(found => found.violations.map(each => [each.id, each.nodes.map(node => node.html.slice(0, 200))]))")
    assert found == []
    page.close()


def test_pictures_of_different_pages_differ(browser: Browser, pages: dict[str, Path]) -> None:
    """What the comparison must notice, and what it must not."""
    look = Look("desktop")
    kept = read_kept("healthy", look)
    for change, notices in (
        ("", False),
        (SERIF, False),
        (".chart .series { display: none }", True),
        (":root { --sent: #c2282d }", True),
        ("section { background: #000 }", True),
        ("#h-runs ~ figure { display: none }", True),
        (".tiles { display: none }", True),
        ("body { font-size: 24px } .chart { transform: scale(.5) }", True),
    ):
        page = browser.open(pages["healthy"], look)
        page.run(f"document.head.insertAdjacentHTML('beforeend', {json.dumps(f'<style>{change}</style>')})")
        assert bool(difference(kept, take(page))) is notices, change
        page.close()
    assert difference(kept, take(browser.open(pages["trouble"], look)))
    assert difference(kept, take(browser.open(pages["healthy"], Look("desktop", dark=True))))


def test_words_and_numbers_of_a_page_in_trouble(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.open(pages["trouble"], Look("phone"))
    history = make_history("trouble")
    assert page.texts("h1") == ["Rehook sync"]
    assert page.texts(".verdict strong") == ["Needs attention"]
    doubtful = [str(each["message_id"]) for each in history.calls if each["status"] == "in_doubt"]
    failed = sum(each["status"] == "failed" for each in history.calls)
    assert page.texts(".verdict span") == [f"{len(doubtful) + failed} calls need attention; the last run was stopped."]
    (total,) = page.texts("#sum")
    left, right = total.replace(",", "").split(" calls = ")
    assert int(left) == sum(int(part.split()[0]) for part in right.split(" + ")) == len(history.calls)
    commands = page.texts("#attention code")
    for each in doubtful:
        assert f"python -m rehook_sync resolve --resend {each}" in commands
    assert len(page.texts("#h-runs ~ figure tbody tr")) == len(page.texts("#h-fresh ~ figure tbody tr")) > 30
    assert page.run("[...document.querySelectorAll('.chart.narrow .series path.line')].every(each => each.getTotalLength() > 200)")
    shares = page.texts("#h-why ~ table tbody td:nth-child(3)")
    widths = page.run(
        "[...document.querySelectorAll('#h-why ~ table .meter i')].map(i => 100 * i.clientWidth / i.parentElement.clientWidth)"
    )
    assert widths == pytest.approx([float(each.strip("<%")) for each in shares], abs=2), "bars are as long as their numbers say"
    assert page.run("getComputedStyle(document.querySelector('.chart.wide')).display") == "none"
    assert page.run("getComputedStyle(document.querySelector('.chart.narrow')).display") == "block"


def test_keyboard_reaches_tables_and_numbers(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.open(pages["trouble"], Look("desktop"))
    reached = []
    for _ in range(30):
        for kind in ("keyDown", "keyUp"):
            page.ask("Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})
        reached.append(page.run("document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"))
    assert reached.count("SUMMARY") >= 2
    assert {"Calls that need attention", "The newest runs"} <= set(reached)
    assert page.run("document.querySelector('details').open") is False
    page.run("document.querySelector('summary').focus()")
    for kind in ("keyDown", "keyUp"):
        page.ask("Input.dispatchKeyEvent", {"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"})
    assert page.run("document.querySelector('details').open") is True
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.run(outline) == "solid"
