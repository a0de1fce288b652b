"""The formats of JSON Schema, with the checker of `jsonschema` and its extras as the truth."""

from __future__ import annotations

import calendar
import ipaddress
import random
import re
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA, from_table
from constrain.errors import UnsupportedFormatError
from constrain.schema.formats import format_language
from tests.automata.dfas import assert_canonical, distances
from tests.timing import share

jsonschema = pytest.importorskip("jsonschema", reason="the checker: jsonschema[format]")
for module in (
    "rfc3339_validator",
    "fqdn",
    "rfc3987",
    "isoduration",
    "uri_template",
    "jsonpointer",
):
    pytest.importorskip(module, reason="the checker: jsonschema[format]")

CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER
TIMES = ("date-time", "date", "time", "duration")
HOSTS = ("email", "hostname", "ipv4", "ipv6")
URIS = ("uri", "uri-reference", "iri", "iri-reference", "uri-template")
FORMATS = (*TIMES, *HOSTS, "uuid", *URIS, "json-pointer", "relative-json-pointer")


def _odd_address(text: str) -> bool:
    """Whether an IPv4 part of an IPv6 address has a leading zero."""
    return bool(re.search(r"\[.*[:.]0\d+[.\]]", text))


# What the checker accepts and we do not, as the table in `formats` says; a function of the text.
ACCEPTED_BY_IT_ALONE: dict[str, Callable[[str], bool]] = {
    "date-time": lambda text: text.endswith("\n"),
    "time": lambda text: text.endswith("\n"),
    "date": lambda text: False,
    "duration": lambda text: (
        not re.fullmatch(
            r"P(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)?"
            r"(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)(?<![PT])",
            text,
        )
    ),
    "email": lambda text: True,
    "hostname": lambda text: text.endswith((".", "\n")),
    "ipv4": lambda text: False,
    "ipv6": lambda text: False,
    # 32 digits, with hyphens at the four places and anywhere else
    "uuid": lambda text: text.count("-") > 4 or not re.fullmatch(r"[0-9A-Fa-f-]*", text),
    "uri": lambda text: text.endswith("\n") or _odd_address(text),
    "uri-reference": lambda text: text.endswith("\n") or _odd_address(text),
    "iri": lambda text: text.endswith("\n") or _odd_address(text),
    "iri-reference": lambda text: text.endswith("\n") or _odd_address(text),
    "uri-template": lambda text: bool(
        re.search(r"[\x00-\x20\"'<>\\^`|\x7f-\x9f\ue000-\uf8ff\ufdd0-\ufdef\ufff0-\uffff]", text)
        or re.search("%(?![0-9A-Fa-f]{2})|\\{,|=|\\[\\]|\\.[.:,*}]|[./]|[,;&]}", text)
        or any(ord(c) & 0xFFFE == 0xFFFE or 0xE0000 <= ord(c) < 0xE1000 for c in text)
    ),
    "json-pointer": lambda text: text.endswith("~\n"),
    "relative-json-pointer": lambda text: not text.isascii(),
}


def language(name: str) -> ByteDFA:
    dfa = format_language(name)
    assert dfa is not None
    return dfa


def drawn(dfa: ByteDFA, choose: random.Random, wander: int) -> str:
    """A random text: some steps at random, by target rather than by byte, then to an end."""
    distance = distances(dfa)
    far = _columns(dfa)
    text, state = bytearray(), 1
    while wander > 0 or not dfa.accepting[state]:
        ways = [c for c in far if dfa.next[state, c]]
        if wander <= 0:
            ways = [c for c in ways if distance[dfa.next[state, c]] < distance[state]]
        if not ways:
            break
        column = choose.choice(ways)
        text.append(choose.choice(far[column]))
        state = int(dfa.next[state, column])
        wander -= 1
    return text.decode()


def _columns(dfa: ByteDFA) -> dict[int, list[int]]:
    columns: dict[int, list[int]] = {}
    for byte, column in enumerate(dfa.byte_class.tolist()):
        columns.setdefault(column, []).append(byte)
    return columns


@share(2)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "hostname"])
@given(seed=st.integers(0, 2**32))
def test_what_is_drawn_is_accepted_by_the_checker(name: str, seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(4):
        text = drawn(language(name), choose, choose.randint(0, 40))
        assert CHECKER.conforms(text, name), (name, text)


_MUTATED = st.text(
    st.sampled_from("0123459aAfFgzZTtPYMWDHS-:.,+/?#[]@%~{}*&=!|\"' \\é\u0660\n\ue000_"), max_size=2
)


@share(2)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "hostname"])
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), _MUTATED), max_size=3),
)
def test_mutated_texts_are_judged_as_by_the_checker(
    name: str, seed: int, mutations: list[tuple[float, int, str]]
) -> None:
    choose = random.Random(seed)
    text = drawn(language(name), choose, choose.randint(0, 30))
    for place, removed, inserted in mutations:
        at = int(place * len(text))
        text = text[:at] + inserted + text[at + removed :]
    judge(name, text)


def judge(name: str, text: str) -> None:
    ours, theirs = language(name).matches(text.encode()), CHECKER.conforms(text, name)
    assert theirs or not ours, (name, text)
    assert ours or not theirs or ACCEPTED_BY_IT_ALONE[name](text), (name, text)


# --- every date, every hour -----------------------------------------------------------------


@pytest.mark.parametrize(
    "year", [1, 4, 99, 100, 400, 1900, 1999, 2000, 2004, 2023, 2024, 2100, 9999]
)
def test_every_day_of_a_year(year: int) -> None:
    dfa = language("date")
    for month, day in product(range(14), range(33)):
        known = (
            1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, max(min(month, 12), 1))[1]
        )
        assert dfa.matches(f"{year:04}-{month:02}-{day:02}".encode()) == known


def test_every_leap_year() -> None:
    dfa = language("date")
    for year in range(10_000):
        assert dfa.matches(f"{year:04}-02-29".encode()) == (year > 0 and calendar.isleap(year))
        assert dfa.matches(f"{year:04}-02-28".encode()) == (year > 0)


# --- addresses ------------------------------------------------------------------------------


@given(
    st.lists(
        st.sampled_from(
            ["1", "0", "ab", "ffff", "12345", "", "::", "1.2.3.4", "01.2.3.4", "256.1.1.1"]
        ),
        min_size=1,
        max_size=10,
    )
)
@example(["1", "2", "3", "4", "5", "6", "7", "8"])
@example(["", "", "1"])
@example(["1", "2", "3", "4", "5", "6", "7", "", ""])
@example(["", "", "2", "3", "4", "5", "6", "7", "8"])
@example(["", "", "2", "3", "4", "5", "6", "1.2.3.4"])
def test_addresses_are_those_of_ipaddress(groups: list[str]) -> None:
    text = ":".join(groups).replace(":::", "::")
    judge("ipv6", text)
    judge("uri", f"x://[{text}]")
    try:
        ipaddress.IPv6Address(text)
        known = True
    except ValueError:
        known = False
    assert language("ipv6").matches(text.encode()) == known


@given(st.lists(st.sampled_from(["a", "-", "7", "Z", "."]), max_size=12).map("".join))
@example("")
@example("a-.b")
@example("a..b")
def test_short_hostnames_are_those_of_the_checker(text: str) -> None:
    judge("hostname", text)


@pytest.mark.parametrize("label", [1, 2, 61, 62, 63, 64])
@pytest.mark.parametrize(
    "total", [62, 63, 64, 65, 127, 128, 189, 190, 191, 192, 250, 251, 252, 253, 254, 255]
)
def test_long_hostnames_are_those_of_the_checker(label: int, total: int) -> None:
    text = ".".join(["a" * label] * 300)[:total]
    judge("hostname", text)
    judge("hostname", text[:-1] + "-")
    judge("hostname", text[:-2] + "-a")


def test_the_automata_are_canonical() -> None:
    for name in FORMATS:
        dfa = language(name)
        if name == "hostname":  # large
            assert dfa == from_table(dfa.next[:, dfa.byte_class], dfa.accepting)
        else:
            assert_canonical(dfa)
            assert dfa.n_states < 300


# --- known texts ----------------------------------------------------------------------------

VALID = {
    "date-time": "1963-06-19T08:30:06.283185Z 1990-12-31T15:59:50.123-08:00 2020-02-29t00:00:00z",
    "time": "08:30:06Z 23:59:59.999999+23:59 08:30:06-08:00 08:30:06z",
    "date": "1963-06-19 2020-02-29 2000-02-29",
    "duration": "P4DT12H30M5S P4Y P1Y2M3DT4H5M6S PT0S P2W P1M PT36H P0D PT1M P1DT12H",
    "email": 'joe@example.com te~st@example.com ~test~@x.y t.t@e.c "joe\\@bloggs"@e.com '
    "joe@[127.0.0.1] joe@[IPv6:::1] joe@[ipv6:1::2:1.2.3.4] joe@[001.02.3.255] a@b-c "
    "a@[IPv6:1:2:3:4:5:6:7:8] a@[IPv6:1:2:3:4:5:6:1.2.3.4] a@[IPv6:1:2:3::4:5:6] "
    "a@[IPv6:1:2:3:4:5:6::] a@[IPv6:1:2:3:4::1.2.3.4]",
    "hostname": "www.example.com xn--4gbwdl.xn--wgbh1c h0stn4me 1host a-b",
    "ipv4": "192.168.0.1 0.0.0.0 255.255.255.255 87.10.0.1",
    "ipv6": "::1 :: ::abef 1:2:3:4:5:6:7:8 ::ffff:192.168.0.1 1:2::192.168.0.1 d6:: "
    "1::d6:192.168.0.1 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8",
    "uuid": "2EB8AA08-AA98-11EA-B4AA-73B441D16380 00000000-0000-0000-0000-000000000000",
    "uri": "http://foo.bar/?baz=qux#quux http://[::1]:80/ urn:oasis:names mailto:a@b.c x: x:/ x:// "
    "ftp://u:p@h:21/%41 file:///etc x:a:b http://[v1.a:b]/ tel:+1-816-555-1212",
    "uri-reference": "/abc //h/p ./a:b # ? a%20b http://x ../a abc",
    "iri": "http://ƒøø.ßår/?∂éœ=πîx#πîüx x:?\ue000",
    "iri-reference": "/â #ƒrägmênt",
    "uri-template": "http://e.com/{term:1}/{term} {x} {+x,y*} {#a.b} {?q,r:999} {&a%20}",
    "json-pointer": "/foo/0 / /a~1b /c%d /~0~1 /é😀",
    "relative-json-pointer": "1 0 0# 1/foo/bar 10/ 123#",
}
INVALID = {
    "date-time": "1990-02-31T15:59:59Z 1998-12-31T23:59:60Z 1963-06-19T08:30:06 "
    "0000-01-01T00:00:00Z 1963-6-19T08:30:06Z 2013-350T01:01:01 "
    "1998-12-31T24:00:00Z 1963-06-1\u09eaT00:00:00Z",
    "time": "08:30:06 24:00:00Z 00:60:00Z 00:00:60Z 08:30:06+24:00 08:30:06.Z 08:30Z",
    "date": "2021-02-29 1900-02-29 2020-13-01 0000-01-01 20-01-01 1963-06-1\u09ea 2023-W03-2",
    "duration": "PT1D 4DT12H P P1YT P1D2H P2D1Y P1Y2W P1 PT1.5S p1d -P1D P1YT1H1S P1Y1D",
    "email": "2962 .a@b a..b@c a.@b a@ @a joe@[127.0.0.300] a@b_c a@-b a@b- a@[::1] "
    'a@[IPv6:1::2::3] a@[IPv6:1:2:3:4::5:6:7] a@[IPv6:1:2:3::4:5:1.2.3.4] a@[x:y] a@b. "a\\"@b',
    "hostname": "-a a- _a a..b a_b 〮a .a",
    "ipv4": "127.0.0.0.1 256.1.1.1 127.0 0x7f000001 087.10.0.1 01.1.1.1 1\u09e87.0.0.1",
    "ipv6": "12345:: 1:1:1:1:1:1:1:1:1 ::laptop : 1::d6::42 ::1%eth0 1:2:3:4:5:6:7 "
    "::1.2.3 :2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:: 1:2:3:4:5:6:7:1.2.3.4 ::01.1.1.1 fe80::/64 1::2:",
    "uuid": "2eb8aa08-aa98-11ea-b4aa-73b441d1638 2eb8aa08aa9811eab4aa73b441d16380 "
    "2eb8-aa08-aa98-11ea-b4aa",
    "uri": "//a /a \\\\W\\s ://x http://a%zz/ x:% a\u00e9: bar,baz:a http://[::1 x:é "
    "http://[V1.a]/ x://a:b@c:d",
    "uri-reference": "\\\\W ## a\\b :a 1:b é %",
    "iri": "x:\ue000 x:\ufdd0 /a \\a",
    "iri-reference": "#\\a \ue000",
    "uri-template": "{ } {} {x {=x} {x:0} {x:1000} {a,} a< % {x.} {^x} {,x} {a:} {%20} {x*:1}",
    "json-pointer": "foo /~ /~2 a/ #/a ~",
    "relative-json-pointer": "/foo -1/a +1/a 01 0## 1a 100",
}


@pytest.mark.parametrize("name", FORMATS)
def test_known_texts(name: str) -> None:
    dfa = language(name)
    for text in VALID[name].split():
        assert dfa.matches(text.encode()), text
        assert CHECKER.conforms(text, name), text
    for text in INVALID[name].split():
        assert not dfa.matches(text.encode()), text
    assert dfa.matches(b"") == (
        name in ("uri-reference", "iri-reference", "uri-template", "json-pointer")
    )


def test_blanks_are_judged() -> None:
    assert language("email").matches(b'"joe bloggs"@e.com')
    for name in ("uri", "uri-template", "email", "date-time"):
        assert not language(name).matches(b"a b")
    assert language("json-pointer").matches(b"/a b\n")


@pytest.mark.parametrize("name", ["ip-address", "host-name", "color", "", "URI", "int32", "url"])
def test_a_name_that_is_not_of_2020_12_is_unknown(name: str) -> None:
    assert format_language(name) is None


@pytest.mark.parametrize("name", ["idn-hostname", "idn-email", "regex"])
def test_what_is_no_regular_language_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=name) as caught:
        format_language(name)
    assert caught.value.name == name


def test_every_format_of_2020_12_is_known() -> None:
    for name in CHECKER.checkers:
        if name in ("idn-hostname", "idn-email", "regex"):
            continue
        assert name in FORMATS, name
