"""Install the wheel into an empty environment outside the checkout, and use it there.

    python tests/install_wheel.py dist

No test of pytest's: it downloads and takes minutes. `make wheel` builds the wheel and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(dist: str) -> None:
    (wheel,) = Path(dist).resolve().glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="constrain-wheel-") as folder:
        environment = Path(folder) / "environment"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        call(ROOT / ".ci" / "install-torch", python, cwd=folder)
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        call(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=folder)
        use(environment, folder)
    print(f"{wheel.name}: installs into an empty environment, and works there")


def use(environment: Path, folder: str) -> None:
    """What a user does first, away from the checkout."""
    python, constrain = environment / "bin" / "python", environment / "bin" / "constrain"

    place = call(python, "-c", "import constrain; print(constrain.__file__)", cwd=folder)
    assert Path(place.strip()).is_relative_to(environment), place

    names = call(constrain, "--list-grammars", cwd=folder).split()
    wanted = sorted(path.stem for path in (ROOT / "grammars").glob("*.lark"))
    assert names == wanted, names

    text = call(constrain, "generate", "--grammar", "json", cwd=folder)
    print(f"generated: {json.loads(text)!r}")

    call(python, "-m", "constrain", "compile", "--grammar", "json", "--cache", "stores", cwd=folder)
    assert len(list((Path(folder) / "stores").iterdir())) == 1


def call(*command: object, cwd: str) -> str:
    """Standard output of a command that must succeed and sees no variable of the checkout."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    print("$", *command, flush=True)
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


if __name__ == "__main__":
    main(sys.argv[1])
