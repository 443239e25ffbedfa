"""Did you mean ...: the nearest of what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` is most likely a misspelling of, or None."""
    by_form = {_form(name): name for name in known}
    found = difflib.get_close_matches(_form(word), by_form, n=1, cutoff=0.6)
    return by_form[found[0]] if found else None


def _form(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean "x"?``, or nothing when nothing is near."""
    found = nearest(word, known)
    return f'did you mean "{found}"?' if found else ""


def listing(names: Iterable[str]) -> str:
    """Names for a sentence, sorted, cut when there are many."""
    all_names = sorted(names)
    if len(all_names) > _SHOWN:
        return ", ".join(all_names[:_SHOWN]) + f" and {len(all_names) - _SHOWN} more"
    return ", ".join(all_names) or "none"


def join(*sentences: str) -> str:
    """Those sentences that say something, as one remedy."""
    return " ".join(sentence for sentence in sentences if sentence)
