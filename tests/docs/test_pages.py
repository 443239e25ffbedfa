"""Every example of the pages runs: blocks that begin with `# file: NAME` make a folder, the others one module; their tests
are run, and a vyked.toml among them is checked by the program."""

import asyncio
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("quickstart", "concepts", "authors-guide", "semantics", "architecture", "operating")
    ),
]
BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def written(page, folder):
    """The examples of a page as files in `folder`; what has no name goes into one module."""
    rest = []
    for language, text in BLOCK.findall((ROOT / page).read_text()):
        named = FILE.match(text)
        if named:
            (folder / named[1]).write_text(text)
        elif language == "python":
            rest.append(text)
    if rest:
        (folder / "test_page.py").write_text("\n".join(rest))
    return sorted(path for path in folder.iterdir())


def loaded(path):
    """The module in `path`, known to Python so that annotations are found."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose modules can be imported, forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page, folder):
    files = written(page, folder)
    assert files, "a page without examples need not be listed"
    claims = [
        claim
        for path in files
        if path.suffix == ".py"
        for name, claim in vars(loaded(path)).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(claim)
    ]
    for claim in claims:
        with asyncio.Runner() as runner:
            runner.run(claim())


@pytest.mark.parametrize("page", PAGES)
def test_the_vyked_toml_of_a_page_is_right(page, folder):
    if folder / "vyked.toml" not in written(page, folder):
        return
    program = Path(sys.executable).with_name("vyked-host")
    done = subprocess.run([program, "check"], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    targets = [link for link in LINK.findall((ROOT / page).read_text()) if "://" not in link]
    missing = [link for link in targets if not ((ROOT / page).parent / link).exists()]
    assert not missing
