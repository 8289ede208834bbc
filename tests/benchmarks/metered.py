"""Runs one command and measures its whole process tree: CPU seconds, wall seconds, peak memory.

Whoever is orphaned becomes a child of this process, so that its time is counted when it is waited for. What nobody
ever waits for, since its parent ignores SIGCHLD (Ray's workers), is counted as last seen in /proc.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

PERIOD_S = 0.2
GRACE_S = 15.0
"""How long what is left of the tree may take to end once the command has; then it is killed."""
_SUBREAPER = 36  # linux/prctl.h
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_CHLD = 1 << (signal.SIGCHLD - 1)


@dataclass(frozen=True)
class Meter:
    """What a command took. `unwaited_s` of `cpu_s` was read in /proc; `peaks` are bytes by process name."""

    cpu_s: float
    unwaited_s: float
    wall_s: float
    tree_bytes: int
    peaks: dict[str, int]
    code: int
    in_time: bool


def metered(command: list[str], log: Path, limit_s: float, env: dict[str, str], cwd: Path) -> Meter:
    """Run a command under a process of its own that measures it; what it prints goes to `log`."""
    report = log.with_suffix(".json")
    with log.open("wb") as out:
        wrapper = [sys.executable, __file__, str(report), str(limit_s), *command]
        subprocess.run(wrapper, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=True, env=env, cwd=cwd)
    return Meter(**json.loads(report.read_text()))


def own_cpu_s(pid: int) -> float:
    """Return the CPU seconds that a running process has taken, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


class Watch(threading.Thread):
    """Looks at the descendants of this process, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.tree_bytes = 0
        self.peaks: dict[str, int] = defaultdict(int)
        self.unwaited: dict[int, float] = {}

    def run(self) -> None:
        while not self.done.wait(PERIOD_S):
            self.look()

    def look(self) -> list[int]:
        """Take one sample; return the descendants."""
        stats = {int(path.name): _stat(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
        children: dict[int, list[int]] = defaultdict(list)
        for pid, fields in stats.items():
            if fields:
                children[int(fields[1])].append(pid)
        total, found, ignoring, at = 0, [os.getpid()], set[int](), 0
        while at < len(found):
            parent, at = found[at], at + 1
            for pid in children[parent]:
                found.append(pid)
                facts = _status(pid)
                total += _bytes(facts, "VmRSS")
                self.peaks[facts.get("Name", "?")] = max(self.peaks[facts.get("Name", "?")], _bytes(facts, "VmHWM"))
                if int(facts.get("SigIgn", "0"), 16) & _CHLD:
                    ignoring.add(pid)
                self.unwaited.pop(pid, None)  # its parent may have changed
                if parent in ignoring:
                    self.unwaited[pid] = sum(map(int, stats[pid][11:15])) * _TICK_S
        self.tree_bytes = max(self.tree_bytes, total)
        return found[1:]


def _stat(folder: Path) -> list[str]:
    try:
        return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _bytes(facts: dict[str, str], name: str) -> int:
    return 1024 * int(facts.get(name, "0").split()[0])


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for_the_rest(watch: Watch) -> set[int]:
    """Wait for every orphan, killing those that stay; return them."""
    ended, until = set(), time.monotonic() + GRACE_S
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        ended.add(pid)
        if pid == 0:
            if time.monotonic() > until:
                _kill(watch.look())
            time.sleep(0.05)


def main() -> None:
    """Measure the command of the arguments REPORT LIMIT_S COMMAND…"""
    report, limit_s, *command = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    watch, late = Watch(), threading.Event()
    began = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ)
    watch.start()
    timer = threading.Timer(float(limit_s), lambda: (late.set(), _kill(watch.look())))
    timer.start()
    _, status = os.waitpid(child, 0)
    wall_s = time.monotonic() - began
    timer.cancel()
    ended = _wait_for_the_rest(watch) | {child}
    watch.done.set()
    watch.join()
    times = os.times()
    unwaited_s = sum(seconds for pid, seconds in watch.unwaited.items() if pid not in ended)
    meter = Meter(
        cpu_s=times.children_user + times.children_system + unwaited_s,
        unwaited_s=unwaited_s,
        wall_s=wall_s,
        tree_bytes=watch.tree_bytes,
        peaks=dict(watch.peaks),
        code=os.waitstatus_to_exitcode(status),
        in_time=not late.is_set(),
    )
    Path(report).write_text(json.dumps(asdict(meter)))


if __name__ == "__main__":
    main()
