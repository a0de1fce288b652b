"""Texts to train the embedded model on: Python's own source, and JSON made from it.

Every source of texts is one function `(Random, Corpus) -> Iterator[str]`, endless and
deterministic, and one line in `SOURCES`. To train on something else as well (Go files,
edits), write one more such function and give it a share.
"""

# ruff: noqa: SIM905 - word lists read better as text
from __future__ import annotations

import ast
import hashlib
import json
import random
import re
import string
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Maker: TypeAlias = Callable[[random.Random], Json]

# Folders whose files are tests, tables or another language's grammar: little to learn from.
SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "site-packages", "encodings", "pydoc_data", "__pycache__"}
)
HELD_OUT_EVERY = 16
LONGEST_PIECE = 2400


@dataclass(frozen=True)
class Corpus:
    """One side of the split: the files, and the words and sentences found in them.

    Attributes:
        files: Python files, sorted by path.
        sentences: first lines of docstrings, for JSON values that read as prose.
        identifiers: names of functions, arguments and attributes, for JSON keys.
    """

    files: tuple[Path, ...]
    sentences: tuple[str, ...]
    identifiers: tuple[str, ...]


def standard_library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def is_held_out(relative: Path) -> bool:
    """Whether the file at this path in the standard library is never trained on."""
    digest = hashlib.sha256(relative.as_posix().encode()).digest()
    return digest[0] % HELD_OUT_EVERY == 0


def load_corpus(*, held_out: bool) -> Corpus:
    """Read the training side of the standard library, or the held-out one."""
    root = standard_library()
    files = tuple(
        path
        for path in sorted(root.rglob("*.py"))
        if SKIPPED_FOLDERS.isdisjoint(path.relative_to(root).parts)
        and is_held_out(path.relative_to(root)) == held_out
        and parse_file(path) is not None
    )
    sentences: set[str] = set()
    identifiers: set[str] = set()
    for path in files:
        for node in ast.walk(parse_file(path) or ast.Module([], [])):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                identifiers.add(node.name)
                sentences.add(_first_line(node))
            elif isinstance(node, ast.arg):
                identifiers.add(node.arg)
            elif isinstance(node, ast.Attribute):
                identifiers.add(node.attr)
    return Corpus(
        files,
        tuple(sorted(s for s in sentences if 10 < len(s) < 90)),
        tuple(sorted(i for i in identifiers if 2 < len(i) < 20 and not i.startswith("_"))),
    )


def parse_file(path: Path) -> ast.Module | None:
    """The file's syntax tree, or None where it is not UTF-8 Python of this version."""
    try:
        return ast.parse(path.read_text("utf-8"))
    except (SyntaxError, ValueError):
        return None


def _first_line(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> str:
    return (ast.get_docstring(node) or "").strip().partition("\n")[0].strip()


# Python ------------------------------------------------------------------------------------


def python_texts(rng: random.Random, corpus: Corpus) -> Iterator[str]:
    """Runs of whole statements of the files, in an order and of lengths that differ each pass."""
    while True:
        files = list(corpus.files)
        rng.shuffle(files)
        for path in files:
            yield from file_pieces(path, rng.choice([700, 1300, 1900, LONGEST_PIECE]))


def file_pieces(path: Path, longest: int) -> Iterator[str]:
    """Cut one file into runs of whole statements of at most about `longest` characters.

    A class that is longer is cut into its statements, dedented; a longer function is left out.
    """
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    run = ""
    for block in _blocks(tree.body, lines, longest, 0, len(lines)):
        if run and len(run) + len(block) > longest:
            yield run.strip("\n") + "\n"
            run = ""
        run += block
    if run.strip():
        yield run.strip("\n") + "\n"


def _blocks(
    body: Sequence[ast.stmt], lines: list[str], longest: int, first: int, last: int
) -> Iterator[str]:
    """Yield source of statements with the comments before them; split what is too long."""
    for node in body:
        begin = first
        first = node.end_lineno or node.lineno
        block = "".join(lines[begin:first])
        if len(block) <= longest:
            yield _dedent(block, node.col_offset)
        elif isinstance(node, ast.ClassDef):
            inside = min(d.lineno for d in (node.body[0], *_decorators(node.body[0]))) - 1
            yield from _blocks(node.body, lines, longest, inside, first)
    if first < last:
        yield "".join(lines[first:last])


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


def _dedent(block: str, columns: int) -> str:
    """Take `columns` spaces off the lines that begin with them."""
    margin = " " * columns
    return "".join(line.removeprefix(margin) for line in block.splitlines(keepends=True))


# JSON made from Python's source ------------------------------------------------------------


def described_texts(rng: random.Random, corpus: Corpus) -> Iterator[str]:
    """JSON that describes functions, classes and modules, at times after the source itself."""
    while True:
        files = list(corpus.files)
        rng.shuffle(files)
        for path in files:
            tree = parse_file(path)
            if tree is not None:
                yield from _file_descriptions(rng, path, tree)


def _file_descriptions(rng: random.Random, path: Path, tree: ast.Module) -> Iterator[str]:
    module = path.relative_to(standard_library()).with_suffix("").as_posix().replace("/", ".")
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    for function in rng.sample(functions, min(6, len(functions))):
        source = ast.unparse(function)
        described = dumps(rng, describe_function(function, rng))
        if len(source) < 500 and rng.random() < 0.5:
            yield f"{source}\n\n{rng.choice(_DESCRIBE)}\n{described}"
        else:
            yield f"{rng.choice(_FUNCTION)} {function.name}:\n{described}"
    for node in rng.sample(classes, min(2, len(classes))):
        yield f"A class of the module {module}:\n" + dumps(rng, describe_class(node, rng))
    if functions:
        yield dumps(rng, describe_module(module, functions[:8], classes[:5], rng))


_DESCRIBE = ("The function above as JSON:", "JSON:", "Describe this function as JSON.")
_FUNCTION = ("Describe the function", "JSON for the function", "The function")


def describe_function(node: ast.FunctionDef, rng: random.Random) -> Json:
    """Name, arguments, first line of the docstring and some other facts of a function."""
    arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    described: dict[str, Json] = {"name": node.name, "args": [*arguments]}
    if rng.random() < 0.7:
        described["doc"] = _first_line(node) or None
    if rng.random() < 0.4:
        described["defaults"] = [ast.unparse(d) for d in node.args.defaults]
    if rng.random() < 0.4:
        described["line"] = node.lineno
    if rng.random() < 0.4:
        described["private"] = node.name.startswith("_")
    return described


def describe_class(node: ast.ClassDef, rng: random.Random) -> Json:
    """Name, bases and some methods of a class."""
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    return {
        "class": node.name,
        "bases": [ast.unparse(base) for base in node.bases],
        "doc": _first_line(node) or None,
        "methods": [describe_function(m, rng) for m in methods[: rng.randint(1, 5)]],
    }


def describe_module(
    module: str, functions: list[ast.FunctionDef], classes: list[ast.ClassDef], rng: random.Random
) -> Json:
    """An index of a module's names."""
    return {
        "module": module,
        "functions": {f.name: f.lineno for f in functions[: rng.randint(1, 8)]},
        "classes": [c.name for c in classes],
        "size": len(functions) + len(classes),
    }


# JSON by generators ------------------------------------------------------------------------

_FIRST = (
    "Alice Bob Carol David Emma Frank Grace Henry Iris Jack Karen Liam Maria Noah Olivia Paul "
    "Quinn Rosa Samuel Tara Uma Victor Wendy Xavier Yara Zoe Ana Ben Chloe Daniel Elena Felix "
    "Hannah Ivan Julia Kenji Lucas Mei Nina Omar Priya Ravi Sofia Tom José Zoë Søren Łukasz"
).split()
_LAST = (
    "Smith Johnson Brown Garcia Miller Davis Martinez Lopez Wilson Anderson Taylor Moore Lee "
    "Clark Lewis Walker Hall Young King Wright Hill Green Baker Nelson Carter Tanaka Müller "
    "Rossi Silva Novak Kim Patel Khan Nguyen Ivanova Dubois Jensen Kowalski O'Brien"
).split()
_CITIES = (
    "London Paris Berlin Madrid Rome Vienna Lisbon Dublin Oslo Prague Warsaw Athens Tokyo Seoul "
    "Delhi Cairo Lagos Nairobi Lima Chicago Boston Seattle Austin Denver Toronto Sydney Zürich"
).split()
_COUNTRIES = (
    "France Germany Spain Italy Austria Portugal Ireland Norway Poland Greece Japan Korea India "
    "Egypt Nigeria Kenya Peru Canada Australia Switzerland Brazil Mexico"
).split()
_STREETS = "Main Oak Park Elm Church High Maple Mill Lake Hill Station River King Queen".split()
_COLORS = "red green blue black white yellow orange purple gray brown pink silver".split()
_WORDS = (
    "alpha beta data file report image backup cache server client worker queue index table "
    "north south east west spring summer autumn winter river mountain forest ocean garden "
    "music history science travel cooking sports news art code test main stable nightly local"
).split()
_PRODUCTS = (
    "Laptop Phone Keyboard Mouse Monitor Desk Chair Lamp Notebook Pen Backpack Bottle Camera "
    "Headphones Speaker Charger Cable Tablet Printer Coffee Tea Bread Apple Shirt Shoes Jacket"
).split()
_TITLES = (
    "The Long Road|A Quiet Place|Winter Light|The Last Garden|Blue Mountain|City of Glass|"
    "The Silent River|Night Train|First Steps|The Open Door|Letters Home|Northern Stars|"
    "The Art of Code|Small Things|Summer Rain|A History of Maps|Deep Water|The Red House"
).split("|")
_JOBS = (
    "engineer teacher doctor nurse designer manager analyst writer chef driver lawyer "
    "developer artist student scientist accountant"
).split()
_SENTENCES = (
    "Everything works as expected.|Please check the settings.|A short note about the project.|"
    "The file was not found.|Ready to ship.|Great value for the price.|Call me tomorrow.|"
    "This is a test message.|Very good quality, would buy again.|Connection timed out.|"
    "See the manual for details.|Meeting moved to Monday.|Fresh and easy to make.|"
    "The request was accepted.|Arrived late but in good shape.|Works well on small screens."
).split("|")


def _one(options: Sequence[str]) -> Maker:
    return lambda rng: rng.choice(options)


def _integer(low: int, high: int) -> Maker:
    return lambda rng: rng.randint(low, high)


def _decimal(low: float, high: float, digits: int = 2) -> Maker:
    return lambda rng: round(rng.uniform(low, high), digits)


def _many(maker: Maker, low: int, high: int) -> Maker:
    return lambda rng: [maker(rng) for _ in range(rng.randint(low, high))]


def _maybe(maker: Maker) -> Maker:
    return lambda rng: maker(rng) if rng.random() < 0.8 else None


def _flag(rng: random.Random) -> Json:
    return rng.random() < 0.5


def _full_name(rng: random.Random) -> Json:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def _email(rng: random.Random) -> Json:
    host = rng.choice(("example.com", "example.org", "mail.com", "test.net"))
    return f"{rng.choice(_FIRST).lower()}@{host}"


def _date(rng: random.Random) -> Json:
    return f"{rng.randint(1990, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _time(rng: random.Random) -> Json:
    return f"{_date(rng)}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"


def _street(rng: random.Random) -> Json:
    return f"{rng.randint(1, 200)} {rng.choice(_STREETS)} {rng.choice(('Street', 'Road', 'Ave'))}"


def _phone(rng: random.Random) -> Json:
    return f"+{rng.randint(1, 60)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"


def _url(rng: random.Random) -> Json:
    return f"https://{rng.choice(('example.com', 'www.example.org'))}/{rng.choice(_WORDS)}"


def _path(rng: random.Random) -> Json:
    folder = rng.choice(("/var/log", "/etc", "/home/user", "data", "src", "C:\\temp"))
    return f"{folder}/{rng.choice(_WORDS)}.{rng.choice(('txt', 'json', 'log', 'py', 'csv'))}"


def _version(rng: random.Random) -> Json:
    return f"{rng.randint(0, 5)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}"


def _hex(rng: random.Random) -> Json:
    return "".join(rng.choices("0123456789abcdef", k=rng.choice((8, 12))))


def _address(rng: random.Random) -> Json:
    return {
        "street": _street(rng),
        "city": rng.choice(_CITIES),
        "zip": str(rng.randint(10000, 99999)),
    }


def _point(rng: random.Random) -> Json:
    return {"lat": round(rng.uniform(-90, 90), 4), "lon": round(rng.uniform(-180, 180), 4)}


# What a key of this name usually holds.
FIELDS: dict[str, Maker] = {
    "name": _full_name,
    "first_name": _one(_FIRST),
    "last_name": _one(_LAST),
    "username": lambda rng: f"{rng.choice(_FIRST).lower()}{rng.randint(1, 99)}",
    "age": _integer(18, 80),
    "email": _email,
    "phone": _phone,
    "address": _address,
    "street": _street,
    "city": _one(_CITIES),
    "country": _one(_COUNTRIES),
    "zip": lambda rng: str(rng.randint(10000, 99999)),
    "job": _one(_JOBS),
    "role": _one(("admin", "user", "editor", "guest", "owner")),
    "active": _flag,
    "enabled": _flag,
    "verified": _flag,
    "public": _flag,
    "debug": _flag,
    "id": _integer(1, 9999),
    "user_id": _integer(1, 9999),
    "order_id": _integer(1000, 99999),
    "uuid": _hex,
    "hash": _hex,
    "title": _one(_TITLES),
    "author": _full_name,
    "artist": _full_name,
    "director": _full_name,
    "owner": _one(_FIRST),
    "customer": _full_name,
    "manager": _full_name,
    "members": _many(_one(_FIRST), 2, 4),
    "friends": _many(_one(_FIRST), 1, 4),
    "attendees": _many(_one(_FIRST), 2, 4),
    "year": _integer(1950, 2026),
    "pages": _integer(50, 900),
    "isbn": lambda rng: f"978-{rng.randint(0, 9)}-{rng.randint(1000, 9999)}",
    "genre": _one(("drama", "comedy", "fiction", "history", "fantasy", "rock", "jazz")),
    "genres": _many(_one(("drama", "comedy", "fiction", "history", "fantasy")), 1, 3),
    "language": _one(("English", "French", "German", "Spanish", "Japanese", "Python", "Go")),
    "languages": _many(_one(("English", "French", "German", "Spanish", "Japanese")), 1, 3),
    "rating": _decimal(1, 5, 1),
    "score": _decimal(0, 100, 1),
    "scores": _many(_integer(0, 100), 2, 5),
    "stars": _integer(1, 5),
    "price": _decimal(1, 500),
    "total": _decimal(5, 2000),
    "amount": _decimal(1, 1000),
    "balance": _decimal(0, 9000),
    "currency": _one(("USD", "EUR", "GBP", "JPY", "CHF")),
    "quantity": _integer(1, 20),
    "stock": _integer(0, 300),
    "count": _integer(0, 100),
    "size": _integer(1, 5000),
    "width": _integer(10, 2000),
    "height": _integer(10, 2000),
    "weight": _decimal(0.1, 90, 1),
    "length": _integer(1, 400),
    "duration": _integer(1, 300),
    "temperature": _decimal(-15, 38, 1),
    "humidity": _integer(10, 99),
    "wind_speed": _decimal(0, 30, 1),
    "color": _one(_COLORS),
    "colors": _many(_one(_COLORS), 1, 3),
    "category": _one(("books", "music", "food", "tools", "sports", "garden", "toys")),
    "brand": _one(("Acme", "Globex", "Initech", "Umbra", "Nordic", "Apex")),
    "model": lambda rng: f"{rng.choice(string.ascii_uppercase)}{rng.randint(1, 900)}",
    "product": _one(_PRODUCTS),
    "sku": lambda rng: f"{rng.choice(('AB', 'CX', 'PR'))}-{rng.randint(100, 9999)}",
    "items": lambda rng: [
        {"product": rng.choice(_PRODUCTS), "quantity": rng.randint(1, 9)}
        for _ in range(rng.randint(1, 3))
    ],
    "date": _date,
    "birthday": _date,
    "due": _date,
    "start": _time,
    "end": _maybe(_time),
    "created_at": _time,
    "updated_at": _time,
    "timestamp": _time,
    "status": _one(("open", "closed", "pending", "active", "done", "failed", "ok")),
    "state": _one(("running", "stopped", "queued", "ready")),
    "priority": _one(("low", "medium", "high")),
    "level": _one(("debug", "info", "warning", "error")),
    "type": _one(("user", "file", "event", "note", "task", "image")),
    "message": _one(_SENTENCES),
    "text": _one(_SENTENCES),
    "comment": _one(_SENTENCES),
    "description": _one(_SENTENCES),
    "notes": _maybe(_one(_SENTENCES)),
    "error": _maybe(_one(("not found", "timeout", "access denied", "bad request"))),
    "code": _integer(100, 599),
    "success": _flag,
    "tags": _many(_one(_WORDS), 0, 4),
    "keywords": _many(_one(_WORDS), 1, 4),
    "steps": _many(_one(("Mix", "Bake", "Stir", "Chop", "Serve", "Boil", "Rest")), 2, 4),
    "ingredients": _many(
        _one(("flour", "sugar", "salt", "butter", "milk", "egg", "rice", "oil", "tomato")), 2, 5
    ),
    "servings": _integer(1, 8),
    "calories": _integer(50, 900),
    "location": _point,
    "lat": _decimal(-90, 90, 4),
    "lon": _decimal(-180, 180, 4),
    "coordinates": _many(_decimal(-90, 90, 3), 2, 2),
    "population": _integer(1000, 9000000),
    "capital": _one(_CITIES),
    "area": _integer(10, 900000),
    "host": _one(("localhost", "127.0.0.1", "0.0.0.0", "db.example.com", "api.example.com")),
    "port": _integer(1024, 9999),
    "url": _url,
    "path": _path,
    "file": _path,
    "timeout": _integer(1, 120),
    "retries": _integer(0, 10),
    "workers": _integer(1, 32),
    "max_size": _integer(1, 4096),
    "log_level": _one(("debug", "info", "warning", "error")),
    "database": lambda rng: {"host": "localhost", "port": 5432, "name": rng.choice(_WORDS)},
    "features": lambda rng: {w: rng.random() < 0.5 for w in rng.sample(_WORDS, rng.randint(1, 3))},
    "version": _version,
    "license": _one(("MIT", "Apache-2.0", "BSD-3-Clause", "PSF-2.0")),
    "dependencies": lambda rng: {
        w: f"^{_version(rng)}" for w in rng.sample(_WORDS, rng.randint(0, 4))
    },
    "species": _one(("cat", "dog", "bird", "horse", "fish", "rabbit")),
    "breed": _one(("mixed", "Siamese", "Beagle", "Collie", "Persian")),
    "department": _one(("sales", "support", "research", "finance", "legal")),
    "salary": _integer(20000, 150000),
    "skills": _many(_one(("Python", "SQL", "Go", "writing", "design", "testing")), 1, 4),
    "grade": _one(("A", "B", "C", "D")),
    "subject": _one(("math", "history", "biology", "physics", "art")),
    "sender": _email,
    "recipient": _email,
    "x": _integer(-100, 100),
    "y": _integer(-100, 100),
    "radius": _decimal(0.5, 20, 1),
    "value": _integer(0, 1000),
    "unit": _one(("kg", "m", "s", "°C", "km/h", "%")),
    "symbol": _one(("€", "$", "£", "¥", "µ")),
    "departure": _time,
    "arrival": _time,
    "origin": _one(_CITIES),
    "destination": _one(_CITIES),
    "flight": lambda rng: f"{rng.choice(('LH', 'BA', 'AF', 'UA'))}{rng.randint(10, 999)}",
    "seat": lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}",
}

# Kinds of things, and the keys they usually have, in their usual order.
KINDS: dict[str, str] = {
    "user": "id name username email age city role active created_at",
    "person": "name age email phone address job city country birthday",
    "customer": "id name email phone address balance active",
    "employee": "id name department job salary manager skills active",
    "student": "name age grade subject scores email",
    "contact": "first_name last_name phone email address notes",
    "address": "street city zip country",
    "book": "title author year pages isbn genre price language",
    "movie": "title director year duration genres rating language",
    "song": "title artist duration year genre",
    "product": "id product brand price currency stock category color sku tags",
    "order": "order_id customer items total currency status date",
    "invoice": "id customer items total currency due status",
    "payment": "id amount currency status date sender recipient",
    "event": "id title date location attendees description public",
    "meeting": "title start end attendees notes",
    "task": "id title description priority status due owner tags",
    "ticket": "id title priority status owner comment created_at",
    "message": "id sender recipient text timestamp",
    "email": "sender recipient title text date",
    "review": "product stars title comment author date verified",
    "recipe": "title servings duration ingredients steps calories",
    "weather report": "city date temperature humidity wind_speed description",
    "city": "name country population area coordinates",
    "country": "name capital population area language currency",
    "car": "brand model year color price",
    "pet": "name species breed age weight color owner",
    "flight": "flight origin destination departure arrival seat price",
    "server": "host port state workers uuid version",
    "config": "debug host port timeout retries workers log_level database features",
    "configuration": "name version enabled path max_size log_level features",
    "package": "name version description license author keywords dependencies url",
    "log entry": "timestamp level message code file",
    "API response": "success code message error timestamp",
    "error": "code message path timestamp",
    "file": "name path size hash created_at updated_at",
    "image": "file width height size type",
    "account": "id owner balance currency active created_at",
    "team": "name members manager department",
    "point": "x y",
    "circle": "x y radius color",
    "measurement": "value unit timestamp location",
    "sensor": "id location temperature humidity state timestamp",
    "project": "name description version language license owner stars url",
    "job": "title department salary city skills",
    "device": "id brand model state version enabled",
    "game": "title genre year score rating price",
}

# A `name` is a person's only where the thing is one.
NAMES: dict[str, Maker] = {
    "city": _one(_CITIES),
    "country": _one(_COUNTRIES),
    "package": _one(_WORDS),
    "project": _one(_WORDS),
    "file": lambda rng: f"{rng.choice(_WORDS)}.{rng.choice(('txt', 'png', 'py', 'json'))}",
    "team": _one(_WORDS),
    "configuration": _one(_WORDS),
    "pet": _one("Luna Max Bella Charlie Milo Coco Rocky Daisy".split()),
    "user": lambda rng: rng.choice((_full_name, _one(_FIRST)))(rng),
}


def dumps(rng: random.Random, value: Json) -> str:
    """Write the value in one of the layouts that JSON is met in."""
    indent = rng.choices([None, 2, 4, 1, "\t"], [9, 6, 4, 0.5, 0.5])[0]
    compact = indent is None and rng.random() < 0.3
    return json.dumps(
        value,
        indent=indent,
        separators=(",", ":") if compact else None,
        ensure_ascii=rng.random() < 0.2,
    )


def prompted_texts(rng: random.Random, corpus: Corpus) -> Iterator[str]:
    """A line that asks for something, then the JSON that answers it."""
    asks = (_ask_record, _ask_list, _ask_nested, _ask_keys, _ask_typed)
    while True:
        prompt, answer = rng.choices(asks, [8, 3, 2, 3, 2])[0](rng, corpus)
        gap = rng.choices(["\n", " ", "", "\n\n"], [6, 2, 1, 1])[0]
        yield prompt + gap + dumps(rng, answer)


def bare_texts(rng: random.Random, corpus: Corpus) -> Iterator[str]:
    """JSON by itself, as it lies in files: records, tables, trees, schemas, scalars."""
    shapes = (_bare_record, _bare_table, _bare_tree, _bare_schema, _bare_scalar, _bare_matrix)
    while True:
        value = rng.choices(shapes, [5, 3, 3, 2, 0.5, 1])[0](rng, corpus)
        yield dumps(rng, value) + rng.choice(("", "", "\n"))


def _some_keys(rng: random.Random, kind: str, low: int, high: int) -> list[str]:
    keys = KINDS[kind].split()
    chosen = set(rng.sample(keys, min(len(keys), rng.randint(low, high))))
    return [key for key in keys if key in chosen]


def _record(rng: random.Random, kind: str, keys: Sequence[str], corpus: Corpus) -> dict[str, Json]:
    record = {key: _field(rng, kind, key) for key in keys}
    for key in ("description", "message", "comment", "text", "notes"):
        if key in record and rng.random() < 0.4:
            record[key] = rng.choice(corpus.sentences)
    return record


def _field(rng: random.Random, kind: str, key: str) -> Json:
    return (NAMES.get(kind, FIELDS["name"]) if key == "name" else FIELDS[key])(rng)


def _listed(rng: random.Random, words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    last = rng.choice((" and ", " and ", ", and ", ", "))
    return ", ".join(words[:-1]) + last + words[-1]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeioA" else f"a {noun}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spoken(rng: random.Random, keys: Sequence[str]) -> list[str]:
    """Keys as a person writes them: `zip code` for `zip_code`, at times."""
    return [k.replace("_", " ") for k in keys] if rng.random() < 0.5 else list(keys)


def _restyle(rng: random.Random, record: dict[str, Json]) -> dict[str, Json]:
    """At times write keys in camel case."""
    if rng.random() < 0.85:
        return record
    return {re.sub(r"_(\w)", lambda m: m[1].upper(), key): v for key, v in record.items()}


def _ask_record(rng: random.Random, corpus: Corpus) -> tuple[str, Json]:
    kind = rng.choice(list(KINDS))
    if rng.random() < 0.35:
        record = _record(rng, kind, _some_keys(rng, kind, 2, 7), corpus)
        return _ask_plainly(rng, kind), _restyle(rng, record)
    keys = _some_keys(rng, kind, 1, 5)
    if rng.random() < 0.3:
        rng.shuffle(keys)
    record = _record(rng, kind, keys, corpus)
    if rng.random() < 0.3:
        return _ask_with_values(rng, kind, record), record
    fields = _listed(rng, _spoken(rng, keys))
    noun = _article(kind)
    return rng.choice(
        (
            f"{_capital(noun)} with {fields}:",
            f"{_capital(noun)} with {fields}:",
            f"{_capital(noun)} with {fields} as JSON:",
            f"JSON for {noun} with {fields}:",
            f"A JSON object describing {noun} with {fields}:",
            f"Describe {noun} in JSON, with {fields}.",
            f"Write {noun} with {fields}.",
            f"{_capital(kind)} ({', '.join(keys)}):",
        )
    ), record


def _ask_plainly(rng: random.Random, kind: str) -> str:
    noun = _article(kind)
    return rng.choice(
        (
            f"A JSON object describing {noun}:",
            f"{_capital(noun)}:",
            f"{_capital(kind)}:",
            f"{_capital(noun)} as JSON:",
            f"JSON for {noun}:",
            f"An example of {noun}:",
            f"Write {noun} as JSON.",
            f"Generate {noun} in JSON:",
            f"Describe {noun} in JSON.",
            f"{_capital(kind)} record:",
        )
    )


def _ask_with_values(rng: random.Random, kind: str, record: dict[str, Json]) -> str:
    told = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in record.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    told = told[: rng.randint(1, 4)] or ["everything"]
    return f"{_capital(_article(kind))} with {_listed(rng, told)}:"


def _ask_list(rng: random.Random, corpus: Corpus) -> tuple[str, Json]:
    kind = rng.choice(list(KINDS))
    keys = _some_keys(rng, kind, 1, 4)
    count = rng.randint(2, 4)
    records: Json = [_record(rng, kind, keys, corpus) for _ in range(count)]
    many = kind[:-1] + "ies" if kind.endswith(("ty", "ry")) else kind + "s"
    number = rng.choice((str(count), ("two", "three", "four")[count - 2]))
    prompt = rng.choice(
        (
            f"A list of {number} {many} with {_listed(rng, _spoken(rng, keys))}:",
            f"{_capital(number)} {many}:",
            f"A JSON array of {number} {many}:",
            f"{_capital(many)} with {_listed(rng, keys)}:",
            f"A list of {many}:",
        )
    )
    if rng.random() < 0.25:
        word = many.split()[-1]
        return f"A JSON object with a list of {many}:", {word: records, "count": count}
    return prompt, records


def _ask_nested(rng: random.Random, corpus: Corpus) -> tuple[str, Json]:
    outer, inner = rng.sample(list(KINDS), 2)
    record = _record(rng, outer, _some_keys(rng, outer, 1, 4), corpus)
    key = inner.replace(" ", "_").lower()
    if rng.random() < 0.5:
        record[key] = _record(rng, inner, _some_keys(rng, inner, 1, 4), corpus)
        return f"{_capital(_article(outer))} with {_article(inner)}:", record
    keys = _some_keys(rng, inner, 1, 3)
    record[f"{key}s"] = [_record(rng, inner, keys, corpus) for _ in range(rng.randint(1, 3))]
    return f"{_capital(_article(outer))} with a list of {inner}s:", record


def _ask_keys(rng: random.Random, corpus: Corpus) -> tuple[str, Json]:
    """Keys never met together, many of them never met at all: they must be copied."""
    names = [
        rng.choice(corpus.identifiers) if rng.random() < 0.6 else rng.choice(list(FIELDS))
        for _ in range(rng.randint(1, 5))
    ]
    record = {n: FIELDS[n](rng) if n in FIELDS else _guess(rng, n, corpus) for n in names}
    fields = _listed(rng, list(record))
    noun = rng.choice(corpus.identifiers).replace("_", " ").lower()
    return rng.choice(
        (
            f"A JSON object with the keys {fields}:",
            f"{_capital(_article(noun))} with {fields}:",
            f"JSON with {fields}:",
            f"An object with {fields}:",
            f"Keys: {', '.join(record)}",
        )
    ), record


def _guess(rng: random.Random, key: str, corpus: Corpus) -> Json:
    """A value for a key whose meaning is not known, by its look."""
    if key.startswith(("is", "has", "use", "allow", "no_")):
        return rng.random() < 0.5
    if key.endswith(("s", "list")):
        return [rng.choice(_WORDS) for _ in range(rng.randint(0, 4))]
    makers: tuple[Maker, ...] = (
        _integer(0, 100),
        _one(_WORDS),
        _one(corpus.sentences),
        _flag,
        _maybe(_one(_WORDS)),
        _decimal(0, 10),
    )
    return rng.choice(makers)(rng)


def _ask_typed(rng: random.Random, corpus: Corpus) -> tuple[str, Json]:
    typed: dict[str, tuple[str, Maker]] = {
        "a string": ("string", lambda r: r.choice(_WORDS)),
        "a number": ("number", lambda r: r.choice((r.randint(0, 500), round(r.random() * 50, 1)))),
        "an integer": ("integer", lambda r: r.randint(0, 500)),
        "a boolean": ("boolean", _flag),
        "a list of strings": ("array", lambda r: [r.choice(_WORDS) for _ in range(3)]),
        "a list of numbers": ("array", lambda r: [r.randint(0, 99) for _ in range(4)]),
    }
    names = [
        rng.choice(corpus.identifiers) if rng.random() < 0.4 else rng.choice(list(FIELDS))
        for _ in range(rng.randint(1, 4))
    ]
    chosen = {name: rng.choice(list(typed)) for name in names}
    record = {name: typed[spoken][1](rng) for name, spoken in chosen.items()}
    told = [f"{spoken} {name}" for name, spoken in chosen.items()]
    if rng.random() < 0.4:
        return f"JSON ({', '.join(f'{n}: {typed[s][0]}' for n, s in chosen.items())}):", record
    return f"A JSON object with {_listed(rng, told)}:", record


def _bare_record(rng: random.Random, corpus: Corpus) -> Json:
    kind = rng.choice(list(KINDS))
    return _restyle(rng, _record(rng, kind, _some_keys(rng, kind, 2, 9), corpus))


def _bare_table(rng: random.Random, corpus: Corpus) -> Json:
    kind = rng.choice(list(KINDS))
    keys = _some_keys(rng, kind, 2, 5)
    rows: list[Json] = [_record(rng, kind, keys, corpus) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.5:
        return rows
    return {"status": "ok", "page": rng.randint(1, 9), "total": len(rows), "data": rows}


def _bare_tree(rng: random.Random, corpus: Corpus, depth: int = 0) -> Json:
    roll = rng.random() * (1 if depth < 4 else 3)
    if depth == 0 or roll < 0.4:
        keys = rng.sample(corpus.identifiers, rng.randint(0, 4))
        return {key: _bare_tree(rng, corpus, depth + 1) for key in keys}
    if roll < 0.6:
        return [_bare_tree(rng, corpus, depth + 1) for _ in range(rng.randint(0, 4))]
    return _bare_scalar(rng, corpus)


def _bare_scalar(rng: random.Random, corpus: Corpus) -> Json:
    makers: tuple[Maker, ...] = (
        _integer(-1000, 1000),
        _decimal(-1, 1, 4),
        _one(_WORDS),
        _one(corpus.sentences),
        _flag,
        lambda _: None,
        lambda r: r.random() * 10 ** r.randint(-12, 20),
        lambda r: f'{r.choice(_WORDS)}"{r.choice(_WORDS)}\\\n\t{r.choice("é世✓ñ€")}',
    )
    return rng.choices(makers, [4, 3, 4, 3, 2, 1, 1, 1])[0](rng)


def _bare_matrix(rng: random.Random, _corpus: Corpus) -> Json:
    cell = rng.choice((_integer(0, 9), _integer(-99, 99), _decimal(0, 1, 2)))
    columns = rng.randint(1, 6)
    rows: list[Json] = [[cell(rng) for _ in range(columns)] for _ in range(rng.randint(1, 5))]
    return rows if rng.random() < 0.7 else {"shape": [len(rows), columns], "data": rows}


def _bare_schema(rng: random.Random, corpus: Corpus) -> Json:
    kinds = ("string", "integer", "number", "boolean")
    names = [rng.choice((*FIELDS, *corpus.identifiers[:200])) for _ in range(rng.randint(1, 5))]
    properties: dict[str, Json] = {name: {"type": rng.choice(kinds)} for name in names}
    schema: dict[str, Json] = {"type": "object", "properties": properties}
    if rng.random() < 0.7:
        schema["required"] = [*properties][: rng.randint(1, len(properties))]
    if rng.random() < 0.3:
        schema["additionalProperties"] = False
    return schema


# The mixture -------------------------------------------------------------------------------

Source: TypeAlias = Callable[[random.Random, Corpus], Iterator[str]]


@dataclass(frozen=True)
class Share:
    """A source of texts and its part of the training text.

    Attributes:
        texts: the source.
        share: part of all characters; the shares of `SOURCES` sum to one.
    """

    texts: Source
    share: float


SOURCES: dict[str, Share] = {
    "python": Share(python_texts, 0.40),
    "json, prompted": Share(prompted_texts, 0.35),
    "json, bare": Share(bare_texts, 0.15),
    "json, of python": Share(described_texts, 0.10),
}


def take(source: Source, rng: random.Random, corpus: Corpus, characters: int) -> Iterator[str]:
    """Texts of one source until they hold `characters` characters."""
    left = characters
    for text in source(rng, corpus):
        if 0 < len(text) <= LONGEST_PIECE:
            yield text
            left -= len(text)
        if left <= 0:
            return


def mixture(seed: int, corpus: Corpus, characters: int) -> list[str]:
    """All sources in their shares, shuffled; the same for the same seed and Python."""
    texts: list[str] = []
    for name, part in SOURCES.items():
        rng = random.Random(f"{seed} {name}")
        texts += take(part.texts, rng, corpus, int(characters * part.share))
    random.Random(seed).shuffle(texts)
    return texts


held_out_corpus = partial(load_corpus, held_out=True)
training_corpus = partial(load_corpus, held_out=False)
