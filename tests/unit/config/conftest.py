"""What is installed, scanned once; and a way to load a text."""

from pathlib import Path

import pytest

from vyked_host import config, loading

SERVICES = Path(__file__).parents[2] / "broken" / "files"


@pytest.fixture
def load(tmp_path):
    """Loads a text as vyked.toml of an empty folder."""

    def loaded(text: str, *overrides: str, name: str | None = None, **environ: str) -> config.Loaded:
        path = name or str(tmp_path / "vyked.toml")
        return config.load(path, text=text, overrides=overrides, environ=environ, installed=loading.load(environ={}))

    return loaded


@pytest.fixture
def shop(load):
    """The same, in the folder that has `broken_shop`."""

    def loaded(text: str, *overrides: str, **environ: str) -> config.Loaded:
        return load(text, *overrides, name=str(SERVICES / "vyked.toml"), **environ)

    return loaded
