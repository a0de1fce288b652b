"""`kernel`: how hot loops are compiled, and kept on disk so that the next process need not.

numba's own cache is one index a function, rewritten by whoever compiles: processes that do so at
once may leave an index that names another's code, a file cut short is an error for ever, and a
change in a function that is called, but stands in another file, goes unseen. Here a file's name
says all that its code was made from, so that a file is right or is not there; it appears whole, by
renaming; what is damaged is made anew. Where nothing can be kept, everything works, and compiles.

The folder: `constrain` in NUMBA_CACHE_DIR if that is set, else in the user's folder of caches.
"""

from __future__ import annotations

import dis
import hashlib
import os
import pickle
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, TypeVar, cast, overload

import llvmlite.binding
import numba
import numpy as np
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.types import BaseTuple, StructRef
from numba.experimental.structref import StructRefProxy

Function = TypeVar("Function", bound=Callable[..., Any])

Inline = Literal["never", "always"]

PATIENCE = 60.0
"""Seconds to wait for a kernel that another process compiles; then it is compiled here too."""

_DIGEST = hashlib.sha256().digest_size

_settings: Any = config


@overload
def kernel(function: Function, /) -> Function: ...
@overload
def kernel(
    *, inline: Inline = "never", allocates: bool = False
) -> Callable[[Function], Function]: ...
def kernel(
    function: Function | None = None, /, *, inline: Inline = "never", allocates: bool = False
) -> Function | Callable[[Function], Function]:
    """Compile a function when it is first called, or take what an earlier process compiled.

    It releases the GIL. With NUMBA_DISABLE_JIT it stays Python.

    Args:
        function: over numbers, arrays, and named tuples and structs of them. What it refers to
            outside itself are numbers, such tuples, modules that are not ours, and other kernels.
        inline: "always" puts it into its callers before anything is optimised.
        allocates: it makes arrays, or has structs among its arguments. Else references to arrays
            are not counted, which in a loop over nodes takes several times what the loop does.
    """
    if function is None:
        return lambda function: _kernel(function, inline, allocates)
    return _kernel(function, inline, allocates)


def _kernel(function: Function, inline: Inline, allocates: bool) -> Function:
    options: dict[str, Any] = {"nogil": True, "inline": inline, "_nrt": allocates}
    compiled = numba.njit(**options)(function)
    if compiled is not function:
        _keep(compiled)
    return cast(Function, compiled)


def _keep(dispatcher: Any) -> None:
    """Have numba ask and fill our cache."""
    cache = _Cache(dispatcher)
    compile_it = dispatcher.compile

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock:  # threads take turns; processes by the cache's lock, inside it
            try:
                return compile_it(signature)
            finally:
                cache.release()

    dispatcher._cache = cache
    dispatcher.compile = compile_once


class _Cache(NullCache):
    """The compiled forms of one kernel. Used under numba's lock only."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._lock: Any = None

    @cached_property
    def _content(self) -> str:
        """Of the kernel; not before its module is whole."""
        return hashlib.sha256("\n".join(_parts(self._dispatcher, set())).encode()).hexdigest()

    @property
    def cache_path(self) -> str | None:
        """Where files are, for numba's statistics."""
        folder = cache_folder()
        return None if folder is None else str(folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What `save_overload` kept for these types; None: to be compiled, by us alone."""
        target_context.refresh()
        path = self._path(sig, target_context)
        if path is None:
            return None
        found = _read(path, target_context)
        if found is None and self._acquire(path):
            found = _read(path, target_context)  # it may have appeared while we waited
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if it can be."""
        path = self._path(sig, data.target_context)
        if path is not None and not (data.lifted or data.library.has_dynamic_globals):
            _write(path, dumps(data._reduce()))

    def release(self) -> None:
        """Let other processes compile this kernel."""
        if self._lock is not None:
            self._lock.release(force=True)
            self._lock = None

    def _acquire(self, path: Path) -> bool:
        """Wait until nobody else compiles this kernel; False where that cannot be known.

        Kernels wait for those that they call, and those never for them.
        """
        from filelock import FileLock  # noqa: PLC0415 - slow to load, and seldom needed

        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            lock.acquire(timeout=PATIENCE)
        except (OSError, NotImplementedError):
            return False
        self._lock = lock
        return True

    def _path(self, sig: Any, target_context: Any) -> Path | None:
        folder = cache_folder()
        if folder is None:
            return None
        args = sig if isinstance(sig, tuple) else sig.args
        switches = (_settings.OPT, _settings.BOUNDSCHECK, _settings.DEBUGINFO_DEFAULT)
        codegen = target_context.codegen().magic_tuple()
        made_from = (self._content, tuple(_described(args)), codegen, switches)
        digest = hashlib.sha256(repr(made_from).encode()).hexdigest()
        return folder / f"{self._dispatcher.py_func.__name__}-{digest[:32]}.kernel"


def cache_folder() -> Path | None:
    """Where kernels are kept by this interpreter, numba, numpy and processor; None: nowhere."""
    root = _caches()
    if root is None:
        return None
    processor = _settings.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    parts = sys.implementation.cache_tag, numba.__version__, np.__version__, processor
    return root / "constrain" / "kernels" / re.sub(r"[^\w.-]", "_", "-".join(map(str, parts)))


def _caches() -> Path | None:
    """The user's folder of caches, by the rules of the system."""
    if _settings.CACHE_DIR:
        return Path(_settings.CACHE_DIR)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else None
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if sys.platform != "darwin" and named.is_absolute():
        return named
    with suppress(RuntimeError):  # a user without a home
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return None


def _read(path: Path, target_context: Any) -> Any:
    """The compiled function in a file; None if it is not there, or not as it was written."""
    try:
        written = path.read_bytes()
    except OSError:
        return None
    payload = written[_DIGEST:]
    if hashlib.sha256(payload).digest() != written[:_DIGEST]:
        return None
    return CompileResult._rebuild(target_context, *pickle.loads(payload))  # noqa: S301 - our own


def _write(path: Path, payload: bytes) -> None:
    """Write a file for `_read`, whole or not at all."""
    temporary = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    """All that the code of a kernel is made from, also of those that it calls.

    Args:
        value: the kernel, or what a kernel refers to.
        seen: kernels that were told already, by `id`.

    Raises:
        TypeError: it refers to something that it may not; see `kernel`.
    """
    if id(value) in seen:
        return
    function = getattr(value, "py_func", value)
    if isinstance(function, FunctionType):
        seen.add(id(value))
        yield f"{function.__module__}.{function.__qualname__}{function.__defaults__}"
        yield repr(sorted(getattr(value, "targetoptions", {}).items()))
        yield from _parts_of_code(function.__code__)
        for outside in _outside(function):
            yield from _parts(outside, seen)
    elif isinstance(value, type) and issubclass(value, tuple):
        yield f"{value.__module__}.{value.__qualname__}{getattr(value, '_fields', ())}"
    elif isinstance(value, type) and issubclass(value, StructRefProxy):
        yield f"{value.__module__}.{value.__qualname__}"  # its fields are in the arguments' types
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}{value.tobytes().hex()}"
    elif _is_plain(value):
        yield repr(value)
    else:
        raise TypeError(
            f"a kernel refers to {value!r}, whose changes the cache cannot see; refer to a "
            f"number, a tuple, a named tuple's class, another kernel, or give it as an argument"
        )


def _parts_of_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant)
        else:
            yield repr(constant)
    yield repr(code.co_names)


def _outside(function: FunctionType) -> Iterator[Any]:
    """The values of a function's global and free variables that are no built-ins."""
    codes = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL" and instruction.argval in function.__globals__:
                yield function.__globals__[instruction.argval]
    for cell in function.__closure__ or ():
        yield cell.cell_contents


def _is_plain(value: Any) -> bool:
    """Whether `repr` tells all of a value, as long as the versions are the same."""
    if isinstance(value, tuple):
        return all(_is_plain(part) for part in value)
    if isinstance(value, bool | int | float | complex | str | np.generic | None):
        return True
    is_module = isinstance(value, ModuleType)
    origin = value.__name__ if is_module else getattr(value, "__module__", None)
    return origin is not None and origin.partition(".")[0] != __name__.partition(".")[0]


def _described(types: Any) -> Iterator[str]:
    """The types of arguments in full; numba's names leave out the fields of named tuples."""
    for argument in types:
        yield repr(argument)
        kind: Any = getattr(argument, "instance_class", None)
        if hasattr(kind, "_fields"):
            yield f"{kind.__module__}.{kind.__qualname__}{kind._fields}"
        if isinstance(argument, BaseTuple):
            yield from _described(argument)
        elif isinstance(argument, StructRef):
            yield from _described(argument.field_dict.values())
