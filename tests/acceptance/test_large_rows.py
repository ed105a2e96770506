"""The memory of a run is bounded whatever the size of its rows."""

from datetime import timedelta
from pathlib import Path

from accounting import Audit, ago
from warehouse import event, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

from .conftest import Program

MEASURED = '''
import atexit, sys
from pathlib import Path

def peak_kb():
    """Not getrusage's figure: to it counts what the process had that started this one."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))

atexit.register(lambda: sys.stderr.write(f"peak {peak_kb() // 1024} MB"))
from rehook_sync.__main__ import main
main()
'''
EVENTS = 151
MOST_MB = 300


def test_events_of_800_kb_take_no_more_memory_than_some(tmp_path: Path, program: Program) -> None:
    """All of them together are 120 MB in the warehouse, and several times that as objects."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    (tmp_path / "shop.db").touch()
    times = [ago(hours=9) + timedelta(seconds=n) for n in range(EVENTS)]
    payload = {f"key {n}": "x" * 1000 for n in range(800)}
    tracks = [track(f"t{n}", f"u{n % 50}", when=when) for n, when in enumerate(times)]
    make_warehouse(
        url,
        {"identifies": [], "tracks": tracks, "order_completed": [event(f"t{n}", when, payload=payload) for n, when in enumerate(times)]},
    )
    with Sandbox() as sandbox:
        key, secret = sandbox.credentials
        place = {"WAREHOUSE_URL": url, "API_URL": sandbox.url, "API_KEY": key, "API_SECRET": secret, "TIMEOUT": "60"}
        settings = {f"REHOOK_SYNC_{name}": value for name, value in place.items()}
        assert program("init", **settings).code == 0
        process = program.start_python("-c", MEASURED, "run", "--since", "beginning", **settings)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        Audit(url, received=sandbox.store).check()
        assert len(sandbox.store.events) == EVENTS
    assert int(err.rpartition("peak ")[2].removesuffix(" MB")) < MOST_MB
