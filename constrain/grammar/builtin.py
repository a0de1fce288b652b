"""The grammars that come with the library: `grammars/<name>.lark`."""

from __future__ import annotations

from pathlib import Path

from constrain.errors import GrammarError
from constrain.grammar.larkgrammar import from_lark
from constrain.grammar.rules import Grammar


def builtin_folder() -> Path:
    """Return the folder of the grammars: in the installed package, else in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "grammars"
    return installed if installed.is_dir() else package.parent / "grammars"


def builtin_names() -> tuple[str, ...]:
    """Return the names that `builtin` knows, sorted."""
    return tuple(sorted(path.stem for path in builtin_folder().glob("*.lark")))


def builtin(name: str) -> Grammar:
    """Return a grammar that comes with the library.

    Raises:
        GrammarError: there is none of this name; the message lists the names.
    """
    names = builtin_names()
    if name not in names:
        known = ", ".join(names) or f"none (looked in {builtin_folder()})"
        raise GrammarError(f"there is no built-in grammar {name!r}; the names are: {known}")
    folder = builtin_folder()
    text = (folder / f"{name}.lark").read_text(encoding="utf-8")
    return from_lark(text, base_path=folder, name=name)
