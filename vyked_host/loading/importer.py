"""``module:Class`` -> the object, with errors that tell apart what people mix up: the module is not there, a module that
IT imports is not there, it raised, or it has no such attribute (the idea is uvicorn's importer).
"""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import StartError


class ImportFault(StartError):
    """What a reference names can't be had. `reference` is the text, `cause` the exception behind it or None."""

    def __init__(self, message: str, *, reference: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.reference, self.cause = reference, cause


class BadReference(ImportFault):
    """The text is not of the form ``module:Class``."""


class ModuleNotInstalled(ImportFault):
    """The module itself does not exist."""


class InnerModuleNotInstalled(ImportFault):
    """The module exists and imports another one that does not; `missing` is its name."""

    def __init__(self, message: str, *, reference: str, missing: str, cause: BaseException) -> None:
        super().__init__(message, reference=reference, cause=cause)
        self.missing = missing


class ModuleRaised(ImportFault):
    """The module exists and raised while it was imported."""


class NoSuchAttribute(ImportFault):
    """The module exists and has nothing of that name."""


def reference(text: str, folder: str | Path | None = None) -> Any:
    """The object that `text` (``module:Class``, ``package.module:Class.attribute``) names.

    `folder` (that of vyked.toml) becomes importable and stays so: a service may import late. Raises ImportFault.
    """
    module_name, colon, attribute = (part.strip() for part in text.partition(":"))
    if not (colon and attribute and all(part.isidentifier() for part in module_name.split("."))):
        raise BadReference(f'{text!r} names no class: write "module:Class"', reference=text)
    if folder is not None:
        _make_importable(Path(folder), module_name, text)
    return _attribute(_module(module_name, text, folder), attribute, text)


def _make_importable(folder: Path, module_name: str, text: str) -> None:
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.insert(0, path)
    importlib.invalidate_caches()
    top = module_name.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is not None and _is_another(loaded, Path(path), top):
        origin = getattr(loaded, "__file__", "this program")
        raise ModuleRaised(
            f"module {top!r} is in {path}, but another one of that name is imported already, from {origin}; "
            "give one of them another name", reference=text,
        )  # fmt: skip


def _is_another(loaded: ModuleType, folder: Path, top: str) -> bool:
    here = [path for path in (folder / top / "__init__.py", folder / f"{top}.py") if path.is_file()]
    origin = getattr(loaded, "__file__", None)
    if not here or origin is None or not Path(origin).exists():
        return False
    return not here[0].samefile(origin)


def _near(name: str, folder: str | Path | None) -> str:
    """The module of the folder that was meant, where one is called almost like that."""
    beside = [path.stem for path in Path(folder).glob("*.py")] if folder is not None else []
    found = get_close_matches(name, beside, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _module(name: str, text: str, folder: str | Path | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")) and not _exists(error.name):
            where = f" (looked in {folder} and among the installed packages)" if folder is not None else ""
            message = f"there is no module {error.name!r}{where}{_near(error.name, folder)}"
            raise ModuleNotInstalled(message, reference=text, cause=error) from None
        message = f"module {name!r} imports {error.name!r}, which is not installed: pip install what provides it"
        raise InnerModuleNotInstalled(message, reference=text, missing=error.name or "", cause=error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: no module may end the host by being imported
        message = f"module {name!r} raised while it was imported: {one_line(error)}{_place(error)}"
        raise ModuleRaised(message, reference=text, cause=error) from error


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _attribute(module: ModuleType, path: str, text: str) -> Any:
    try:
        return reduce(getattr, path.split("."), module)
    except AttributeError as error:
        message = f"module {module.__name__!r} has no {path!r}{_classes(module)}"
        raise NoSuchAttribute(message, reference=text, cause=error) from None


def _classes(module: ModuleType) -> str:
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
    classes = sorted(name for name in own if isinstance(getattr(module, name), type))
    return f"; it has {', '.join(classes)}" if classes else ""


def one_line(error: BaseException) -> str:
    """`error` as one line: type and first line of its text."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = []
    step = error.__traceback__
    while step is not None:
        frames.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
        step = step.tb_next
    own = [frame for frame in frames if "importlib" not in frame[0] and frame[0] != __file__]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""
