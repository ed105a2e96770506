"""A real browser without a window: Debian's Chromium, spoken to over a pipe.

`with Browser(program, folder) as browser: page = browser.open(path, Look("phone", dark=True))`, then `page.text()`,
`page.screenshot()`, `page.run("...javascript...")`, `page.requests`. No network is needed or used.
"""

import base64
import json
import os
import select
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Browser", "Look", "Page", "find_chromium"]

_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
    --disable-sync --disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb --font-render-hinting=none --remote-debugging-pipe
"""
_SIZES = {"desktop": (1100, 900, False), "phone": (360, 740, True)}
_PATIENCE_S = 40.0


def find_chromium() -> str | None:
    """Return the program, None when this machine has none."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Look:
    """How a page is looked at. Shape:  size: desktop or phone, 360 pixels wide."""

    size: str
    dark: bool = False

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.size}-{'dark' if self.dark else 'light'}"


class Browser:
    """One browser process with a profile of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        """Start nothing yet."""
        self._command = [program, *_FLAGS.split(), f"--user-data-dir={folder}", "about:blank"]
        self._folder = folder
        self._pid = 0
        self._number = 0
        self._unread = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Start it."""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        nowhere = os.open(os.devnull, os.O_RDWR)
        # The numbers the browser expects are given at its birth; ours stay clear of them.
        actions = [(os.POSIX_SPAWN_DUP2, nowhere, number) for number in (0, 1, 2)]
        lifted = [os.dup(each) for each in (theirs_in, theirs_out)]
        while min(lifted) < 5:
            lifted = [os.dup(each) for each in lifted]
        actions += [(os.POSIX_SPAWN_DUP2, lifted[0], 3), (os.POSIX_SPAWN_DUP2, lifted[1], 4)]
        environ = {**os.environ, "HOME": str(self._folder), "TZ": "UTC", "LANG": "C.UTF-8"}
        self._pid = os.posix_spawn(self._command[0], self._command, environ, file_actions=actions, setpgroup=0)
        for each in (theirs_in, theirs_out, nowhere, *lifted):
            os.close(each)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it and all its children."""
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)

    def open(self, path: Path, look: Look) -> "Page":
        """Load a file as a page and wait until it is there."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session, target)
        width, height, mobile = _SIZES[look.size]
        page.ask("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if look.dark else "light"}
        page.ask("Emulation.setEmulatedMedia", {"features": [scheme]})
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.ask(f"{domain}.enable")
        self.events.clear()
        page.ask("Page.navigate", {"url": path.resolve().as_uri()})
        self._wait_for("Page.loadEventFired", session)
        page.seen = [event for event in self.events if event.get("sessionId") == session]
        return page

    def ask(self, method: str, values: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        """Send one command and return its answer; what happens meanwhile is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values or {}, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _wait_for(self, method: str, session: str) -> None:
        while not any(event.get("method") == method and event.get("sessionId") == session for event in self.events):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(until - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            more = os.read(self._in, 1 << 20)
            assert more, "the browser is gone"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@dataclass
class Page:
    """One page as it is shown. Shape:  seen: what the browser told while it loaded."""

    browser: Browser
    session: str
    target: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one command to this page."""
        return self.browser.ask(method, values, self.session)

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; waits for promises."""
        answer = self.ask("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, as it is shown."""
        found: list[str] = self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(each => each.innerText)")
        return found

    @property
    def requests(self) -> list[str]:
        """What the page asked for while it loaded, itself and what it carries left out."""
        urls = [event["params"]["request"]["url"] for event in self.seen if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls[1:] if not url.startswith("data:")]

    @property
    def complaints(self) -> list[str]:
        """What the browser found wrong: refused styles or scripts, errors."""
        return [event["params"]["entry"]["text"] for event in self.seen if event.get("method") == "Log.entryAdded"]

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.ask("Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True})
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """Close it."""
        self.browser.ask("Target.closeTarget", {"targetId": self.target})
