"""The exception tree, and what a declared application error carries."""

from typing import ClassVar

import pytest

from vyked_host import errors
from vyked_host.errors import RULES, CallError, ServiceError, VykedError, field_types


class Taken(ServiceError, code="taken", status=409):
    name: str
    again_after: float = 1.0
    note: ClassVar[str] = "not a field"


class Plain(ServiceError, code="plain"):
    pass


def test_every_exception_is_of_one_tree() -> None:
    raised = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert all(issubclass(each, VykedError) for each in raised)


def test_each_code_has_one_rule_and_each_rule_its_own_error() -> None:
    assert {rule.error.code for rule in RULES.values()} == set(RULES)
    assert all(issubclass(rule.error, CallError) and 400 <= rule.status < 600 for rule in RULES.values())


def test_fields_are_details_and_the_class_name_never_travels() -> None:
    error = Taken("ada")
    assert (error.code, error.status, error.details()) == ("taken", 409, {"name": "ada", "again_after": 1.0})
    assert field_types(Taken) == {"name": str, "again_after": float}
    assert str(Taken("ada", again_after=2)) == "name='ada', again_after=2"


def test_wrong_fields_say_which_there_are() -> None:
    for arguments, named in (((), {}), (("a", 1.0, "x"), {}), (("a",), {"nme": 1})):
        with pytest.raises(TypeError, match="name"):
            Taken(*arguments, **named)


def test_an_error_without_fields_has_a_text() -> None:
    assert str(Plain("not today")) == "not today"
    assert Plain("x").details() == {}


def test_fields_are_inherited() -> None:
    class More(Taken, code="more"):
        extra: int = 0

    assert More("ada", extra=1).details() == {"name": "ada", "again_after": 1.0, "extra": 1}
    assert More.status == 409
