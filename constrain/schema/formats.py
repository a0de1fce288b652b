r"""The formats of JSON Schema 2020-12 (validation, 7.3) → the DFAs of their strings.

Each is its RFC's grammar, less what the checker of Python's `jsonschema` refuses: whoever
reads the text with that checker finds no fault in it. Where the RFC has more, or the checker:

| format | the RFC has, neither the checker nor we | the checker has, we have not |
|---|---|---|
| date-time, time | the year 0000; second 60 | a line end behind it |
| date | the year 0000 | |
| duration | lower-case letters | fractions, signs, skipped units, dates |
| email | | any text with an `@` |
| hostname | | a dot, or a line end, behind it |
| ipv4 | leading zeros (RFC 2673) | |
| uuid | | blanks, `_` and digits of other scripts, which `int` reads |
| uri, iri, their references | `V` of `[V1.a]` | leading zeros in `[::01.2.3.4]`; a line end |
| uri-template | operators `=,!@|`, lengths of 4 digits, `%` first | literals, `=`, `[]`, `,` last |
| relative-json-pointer | a 0 before the last digit; `+1` | digits of other scripts |

Letters are of either case where the RFC says so: `T` and `Z` of times, hexadecimal digits,
`IPv6:` in addresses of mail. Sizes that are limits of implementations, and no syntax, are not
kept: the 64 bytes of a mailbox's name (RFC 5321, 4.5.3.1). The 63 of a label and the 253 of a
name of a host are kept, but not in URIs, whose grammar has none, nor in `email`.

Refused are `idn-hostname` and `idn-email`, which count bytes of Punycode and compare
normal forms, and `regex`, whose parentheses are no regular language.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import DEAD, START, ByteDFA, canonical
from constrain.automata.regex import compile_pattern
from constrain.errors import UnsupportedFormatError

MAX_LABEL, MAX_HOSTNAME = 63, 253  # RFC 1035, 2.3.4, without the bytes of lengths

_REFUSED = {
    "idn-hostname": "its labels are measured in Punycode and compared in normal form; use hostname",
    "idn-email": "its domain has labels of idn-hostname; use email",
    "regex": "regular expressions nest their parentheses, which no automaton counts; use a pattern",
}

# --- RFC 3339 -------------------------------------------------------------------------------

_D = "[0-9]"
_YEAR = f"(?:[1-9]{_D}{{3}}|0[1-9]{_D}{{2}}|00[1-9]{_D}|000[1-9])"
_BY_FOUR = "(?:0[48]|[2468][048]|[13579][26])"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]{_D}|3[01])"
    f"|(?:0[469]|11)-(?:0[1-9]|[12]{_D}|30)"
    f"|02-(?:0[1-9]|1{_D}|2[0-8]))"
    f"|(?:{_D}{{2}}{_BY_FOUR}|{_BY_FOUR}00)-02-29)"
)
_HOUR_MINUTE = f"(?:[01]{_D}|2[0-3]):[0-5]{_D}"
_TIME = rf"{_HOUR_MINUTE}:[0-5]{_D}(?:\.{_D}+)?(?:[Zz]|[+-]{_HOUR_MINUTE})"
_SECOND = f"{_D}+S"
_MINUTE = f"{_D}+M(?:{_SECOND})?"
_OF_DAY = f"T(?:{_D}+H(?:{_MINUTE})?|{_MINUTE}|{_SECOND})"
_DAY = f"{_D}+D"
_MONTH = f"{_D}+M(?:{_DAY})?"
_DURATION = f"P(?:(?:{_D}+Y(?:{_MONTH})?|{_MONTH}|{_DAY})(?:{_OF_DAY})?|{_OF_DAY}|{_D}+W)"

# --- addresses: RFC 4291, 5321 --------------------------------------------------------------

_X = "[0-9A-Fa-f]"
_IPV4 = r"(?:B\.){3}B".replace("B", f"(?:25[0-5]|2[0-4]{_D}|1{_D}{{2}}|[1-9]?{_D})")
_GROUP = f"{_X}{{1,4}}"
_LAST_TWO = f"(?:{_GROUP}:{_GROUP}|{_IPV4})"


def _compressed(n_behind: int, last: str) -> str:
    """`::` with `n_behind` groups and `last` behind it, and as many groups before it as fit."""
    n_before = 7 - n_behind - {"": 0, _GROUP: 1, _LAST_TWO: 2}[last]
    before = f"(?:(?:{_GROUP}:){{0,{n_before - 1}}}{_GROUP})?" if n_before else ""
    return f"{before}::(?:{_GROUP}:){{{n_behind}}}{last}"


_ENDS = [*((n, _LAST_TWO) for n in range(6)), (0, _GROUP), (0, "")]
_IPV6 = "|".join([f"(?:{_GROUP}:){{6}}{_LAST_TWO}", *(_compressed(n, last) for n, last in _ENDS)])

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_SNUM = f"(?:0{{0,2}}{_D}|0?[1-9]{_D}|1{_D}{{2}}|2[0-4]{_D}|25[0-5])"
_MAIL_IPV4 = rf"{_SNUM}(?:\.{_SNUM}){{3}}"


def _mail_compressed(n_groups: int, behind: str) -> list[str]:
    """`::` between at most `n_groups` groups, with `behind` at the end."""
    found = []
    for n in range(n_groups + 1):
        before = f"{_GROUP}(?::{_GROUP}){{{n - 1}}}" if n else ""
        if behind:
            after = f"(?:{_GROUP}:){{0,{n_groups - n}}}{behind}"
        else:
            after = f"(?:{_GROUP}(?::{_GROUP}){{0,{n_groups - n - 1}}})?" if n < n_groups else ""
        found.append(f"{before}::{after}")
    return found


_MAIL_IPV6 = "|".join(
    [
        f"{_GROUP}(?::{_GROUP}){{7}}",
        f"{_GROUP}(?::{_GROUP}){{5}}:{_MAIL_IPV4}",
        *_mail_compressed(6, ""),
        *_mail_compressed(4, _MAIL_IPV4),
    ]
)
_EMAIL = (
    rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@"
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:{_MAIL_IPV4}|[Ii][Pp][Vv]6:(?:{_MAIL_IPV6}))\])"
)

# --- RFC 3986, 3987, 6570, 6901 -------------------------------------------------------------

_ENCODED = f"%{_X}{{2}}"
_SUB_DELIMS = "!$&'()*+,;="
_UNRESERVED = r"A-Za-z0-9._~\-"
_UCS = "\\xa0-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\uffef" + "".join(
    f"\\U000{plane:x}{1 if plane == 14 else 0}000-\\U000{plane:x}fffd" for plane in range(1, 15)
)
_PRIVATE = "\\ue000-\\uf8ff\\U000f0000-\\U000ffffd\\U00100000-\\U0010fffd"


def _reference(more: str, private: str, *, relative: bool) -> str:
    """A URI, or a reference, with `more` unreserved characters, and `private` ones in queries."""
    plain = _UNRESERVED + more + _SUB_DELIMS

    def part(others: str) -> str:
        return f"(?:[{plain}{others}]|{_ENCODED})"

    future = rf"v{_X}+\.[{_UNRESERVED}{_SUB_DELIMS}:]+"
    host = rf"(?:\[(?:{_IPV6}|{future})\]|{part('')}*)"
    authority = f"(?:{part(':')}*@)?{host}(?::{_D}*)?"
    segment, rest = part(":@"), f"(?:/{part(':@')}*)*"
    rooted = f"//{authority}{rest}|/(?:{segment}+{rest})?"
    tail = rf"(?:\?{part(':@/?' + private)}*)?(?:\#{part(':@/?')}*)?"
    scheme = rf"[A-Za-z][A-Za-z0-9+.\-]*:(?:{rooted}|{segment}+{rest})?"
    if not relative:
        return scheme + tail
    return f"(?:{scheme}|{rooted}|{part('@')}+{rest})?{tail}"


_NAME_START, _NAME = "[A-Za-z0-9_]", f"(?:[A-Za-z0-9_]|{_ENCODED})"
_VARIABLE = rf"{_NAME_START}{_NAME}*(?:\.{_NAME}+)*(?::[1-9]{_D}{{0,2}}|\*)?"
_TEMPLATE = (
    rf"(?:[!#$&(-;=?-\[\]_a-z~{_UCS}{_PRIVATE}]|{_ENCODED}"
    rf"|\{{[+#./;?&]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
)
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

_PATTERNS = {
    "date-time": f"{_DATE}[Tt]{_TIME}",
    "date": _DATE,
    "time": _TIME,
    "duration": _DURATION,
    "email": _EMAIL,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": f"{_X}{{8}}-(?:{_X}{{4}}-){{3}}{_X}{{12}}",
    "uri": _reference("", "", relative=False),
    "uri-reference": _reference("", "", relative=True),
    "iri": _reference(_UCS, _PRIVATE, relative=False),
    "iri-reference": _reference(_UCS, _PRIVATE, relative=True),
    "uri-template": _TEMPLATE,
    "json-pointer": f"(?s:{_POINTER})",
    "relative-json-pointer": f"(?s:(?:0|[1-9]+0?)(?:\\#|{_POINTER}))",
}


@cache
def format_language(name: str) -> ByteDFA | None:
    """The strings of a format, encoded as UTF-8; None for a name that 2020-12 does not define.

    Raises:
        UnsupportedFormatError: the format is defined, and no automaton is exactly it.
    """
    if name in _REFUSED:
        raise UnsupportedFormatError(name, _REFUSED[name])
    if name == "hostname":
        return _hostname()
    pattern = _PATTERNS.get(name)
    return None if pattern is None else compile_pattern(pattern)


def hostname_labels() -> ByteDFA:
    """Host names of any length: `hostname` are those of `MAX_HOSTNAME` characters at most."""
    label = r"[0-9A-Za-z](?:[0-9A-Za-z\-]{0,61}[0-9A-Za-z])?"
    return compile_pattern(rf"{label}(?:\.{label})*")


def _hostname() -> ByteDFA:
    """Labels of letters, digits and inner hyphens, with dots between (RFC 1123, 2.1).

    A state is told by how long the name is, how long its last label, and whether a hyphen
    ends it. From the longest names to the shortest, states that lead to the same are one.
    """
    column = np.full(256, 3)
    column[[*b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]] = 0
    column[ord("-")], column[ord(".")] = 1, 2
    number: dict[tuple[int, int, int, bool], int] = {(0, 0, 0, False): DEAD}
    dead = [DEAD] * (MAX_LABEL + 2)
    letters, hyphens = dead, dead  # by the label's length, a letter or a hyphen at its end
    begin = DEAD  # where a label begins
    for _ in range(MAX_HOSTNAME + 1):
        rows = [(letters[n + 1], hyphens[n + 1]) for n in range(MAX_LABEL + 1)]
        after = [number.setdefault((a, b, begin, True), len(number)) for a, b in rows]
        hyphen = [number.setdefault((a, b, DEAD, False), len(number)) for a, b in rows]
        first = number.setdefault((letters[1], DEAD, DEAD, False), len(number))
        letters, hyphens, begin = [*after, DEAD], [*hyphen, DEAD], first
    return _from_rows(list(number), begin, column)


def _from_rows(
    rows: list[tuple[int, int, int, bool]], start: int, column: NDArray[np.int64]
) -> ByteDFA:
    """The automaton of rows of three targets and acceptance, with `start` as the start."""
    order = np.arange(len(rows))
    order[[START, start]] = order[[start, START]]
    found = np.array(rows)[order]
    table = np.zeros((len(rows), 4), np.int32)
    table[:, :3] = order[found[:, :3]]
    return canonical(table, found[:, 3].astype(np.bool_), column)
