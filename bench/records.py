"""Records of runs: what they were measured on, and where they are kept."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "record"
PACKAGES = ("numba", "numpy", "torch", "transformers")


def machine() -> dict[str, Any]:
    """What the numbers depend on; no names of hosts or people."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return {
        "cpu": found.group(1).strip() if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES if is_installed(name)},
        "load_before": round(os.getloadavg()[0], 2),
    }


def is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def write(report: Mapping[str, Any], name: str, folder: Path = RECORD) -> Path:
    """Write the report, which has a date, to `<date>-<name>.json`."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{report['date']}-{name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def newest(name: str, folder: Path = RECORD) -> dict[str, Any] | None:
    """The last record of that name, if there is one."""
    pattern = re.compile(rf"\d{{4}}-\d\d-\d\d-{re.escape(name)}\.json")
    paths = [path for path in folder.glob("*.json") if pattern.fullmatch(path.name)]
    if not paths:
        return None
    found: dict[str, Any] = json.loads(max(paths).read_text(encoding="utf-8"))
    return found


def resident_mb(pid: int | None = None) -> float:
    """A process's resident memory; this one's, if none is named; 0 where it cannot be told."""
    try:
        pages = Path(f"/proc/{pid or 'self'}/statm").read_text("ascii").split()[1]
    except OSError:
        return 0.0
    return round(int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6, 2)


def trim() -> None:
    """Give what is free back to the system, so that what is taken next is seen to be taken."""
    gc.collect()
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the C library of GNU has it
    if release is not None:
        release(0)
