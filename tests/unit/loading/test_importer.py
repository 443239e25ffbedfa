"""module:Class, and the errors that tell apart what people mix up."""

import sys
from pathlib import Path

import pytest

from vyked_host.loading import (
    BadReference,
    InnerModuleNotInstalled,
    ModuleNotInstalled,
    ModuleRaised,
    NoSuchAttribute,
    reference,
)

from .shelf import Shelf


@pytest.fixture
def folder(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    here = tmp_path / "file"
    here.mkdir()
    return here


def test_the_folder_of_the_file_is_importable(folder: Path) -> None:
    (folder / "greeting_here.py").write_text("class Hello:\n    class Inner: ...\n")
    assert reference("greeting_here:Hello", folder).__name__ == "Hello"
    assert reference("greeting_here:Hello.Inner", folder).__name__ == "Inner"


def test_it_stays_importable_for_what_a_service_imports_late(folder: Path) -> None:
    (folder / "late_part.py").write_text("X = 1\n")
    (folder / "late_user.py").write_text(
        "class Hello:\n    def x(self):\n        import late_part\n        return late_part.X\n"
    )
    assert reference("late_user:Hello", folder)().x() == 1


@pytest.mark.parametrize("text", ["hello", "hello:", ":Hello", "hello.py:Hello:x y", "a b:C", "../hello:Hello"])
def test_a_text_of_another_form_says_how_to_write_it(text: str) -> None:
    with pytest.raises((BadReference, ModuleNotInstalled)) as caught:
        reference(text)
    assert "module" in str(caught.value)


@pytest.mark.parametrize("text", ["nonesuch_module:Hello", "nonesuch.part:Hello", "json.nonesuch:Hello"])
def test_a_module_that_is_not_there(text: str, folder: Path) -> None:
    with pytest.raises(ModuleNotInstalled, match=r"there is no module .*nonesuch.*looked in"):
        reference(text, folder)


def test_a_module_inside_it_that_is_not_there_is_another_error(folder: Path) -> None:
    (folder / "inner_user.py").write_text("import nonesuch_dependency\n")
    with pytest.raises(InnerModuleNotInstalled) as caught:
        reference("inner_user:Hello", folder)
    assert caught.value.missing == "nonesuch_dependency"
    assert "module 'inner_user' imports 'nonesuch_dependency', which is not installed" in str(caught.value)


def test_a_module_that_raises_says_where(folder: Path) -> None:
    (folder / "raising.py").write_text("\n\nraise RuntimeError('no luck\\ntoday')\n")
    with pytest.raises(ModuleRaised, match=r"RuntimeError: no luck \(.*raising\.py:3\)") as caught:
        reference("raising:Hello", folder)
    assert isinstance(caught.value.cause, RuntimeError)


def test_a_module_with_a_syntax_error_says_where(folder: Path) -> None:
    (folder / "bad_syntax.py").write_text("x = 1\ndef broken(:\n")
    with pytest.raises(ModuleRaised, match=r"SyntaxError.*bad_syntax\.py:2"):
        reference("bad_syntax:Hello", folder)


def test_a_module_that_exits_does_not_end_the_host(folder: Path) -> None:
    (folder / "exiting.py").write_text("raise SystemExit(1)\n")
    with pytest.raises(ModuleRaised, match="SystemExit"):
        reference("exiting:Hello", folder)


def test_a_class_that_is_not_there_says_which_are(folder: Path) -> None:
    (folder / "two_classes.py").write_text("from json import JSONDecoder\nclass Hello: ...\nclass Bye: ...\n")
    with pytest.raises(NoSuchAttribute, match=r"has no 'Helo'; it has Bye, Hello$"):
        reference("two_classes:Helo", folder)


def test_a_module_of_the_same_name_from_elsewhere_is_never_taken_for_it(folder: Path, tmp_path: Path) -> None:
    (folder / "twice_here.py").write_text("class Hello: ...\n")
    assert reference("twice_here:Hello", folder) is reference("twice_here:Hello", folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "twice_here.py").write_text("class Hello: ...\n")
    with pytest.raises(ModuleRaised, match="another one of that name is imported already"):
        reference("twice_here:Hello", other)
