"""Exceptions to faults and back: what is declared crosses whole, nothing else does, and `executed` is never a guess."""

import logging
from typing import Any

import msgspec
import pytest

from vyked_host.errors import (
    RULES,
    ApplicationError,
    CallError,
    InvalidPayload,
    RemoteFailure,
    ServiceError,
    TooLarge,
)
from vyked_host.model.description import DeclaredError, EndpointDescription, Kind
from vyked_host.model.message import Fault
from vyked_host.runtime.outcomes import (
    application_fault,
    find_declared,
    internal_fault,
    invalid_fault,
    invalid_result,
    refuses_own_arguments,
    to_error,
    unsendable,
)

Order = msgspec.defstruct("Order", [("name", str), ("n", int)], forbid_unknown_fields=True)


class Taken(ServiceError, code="taken", status=409):
    name: str


class Closed(ServiceError, code="closed"):
    """No fields: one message."""


class Subclass(Taken):
    """Travels under the code it inherits."""


class Stubborn(ServiceError, code="stubborn"):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


TAKEN = DeclaredError(code="taken", status=409, error=Taken, details=msgspec.defstruct("Details", [("name", str)]))
CLOSED = DeclaredError(code="closed", status=400, error=Closed)
STUBBORN = DeclaredError(code="stubborn", status=400, error=Stubborn)
UNKNOWN_HERE = DeclaredError(code="foreign", status=400)
BUY = EndpointDescription(
    service="shop", version="1.0.0", name="buy", kind=Kind.UNARY, arguments=Order, result=int,
    raises=(TAKEN, CLOSED, STUBBORN, UNKNOWN_HERE),
)  # fmt: skip


def refusal(body: bytes) -> Fault:
    with pytest.raises(ValueError) as found:
        msgspec.json.decode(body, type=Order)
    return invalid_fault(BUY, found.value)


@pytest.mark.parametrize("error", [Taken("ada"), Subclass("ada"), Closed("until Monday")])
def test_a_declared_error_arrives_as_its_class_with_its_fields(error: ServiceError) -> None:
    arrived = to_error(application_fault(error), BUY, "far")
    assert type(arrived) is (Taken if isinstance(error, Taken) else Closed)
    assert str(arrived) == str(error)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(code="APPLICATION", message="m", executed="executed", type="unheard_of"), "unheard_of"),
        (Fault(code="APPLICATION", message="m", executed="executed", type="foreign"), "foreign"),
        (application_fault(Stubborn(1, 2)), "stubborn"),
    ],
)
def test_one_without_a_class_that_can_be_made_arrives_by_its_code(fault: Fault, says: str) -> None:
    arrived = to_error(fault, BUY, "far")
    assert isinstance(arrived, ApplicationError)
    assert (arrived.type, arrived.executed, arrived.instance) == (says, "executed", "far")


def test_declared_details_that_do_not_fit_are_told_as_such() -> None:
    fault = Fault(code="APPLICATION", message="m", executed="executed", type="taken", details={"name": 3.5, "x": []})
    arrived = to_error(fault, BUY, "far")
    assert isinstance(arrived, InvalidPayload)
    assert "the answer of shop.buy does not fit" in str(arrived)


def test_what_is_not_declared_leaves_only_an_id_and_its_traceback_stays(caplog: pytest.LogCaptureFixture) -> None:
    fault = internal_fault(BUY, KeyError("secret"), logging.getLogger("test"))
    assert "secret" not in fault.message + repr(fault.details)
    assert fault.details["id"] in caplog.text
    assert "KeyError: 'secret'" in caplog.text
    arrived = to_error(fault, BUY, "far")
    assert isinstance(arrived, RemoteFailure)
    assert arrived.id == fault.details["id"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b'{"name":"x","n":"y"}', "n", r"shop.buy(n): Expected `int`, got `str`"),
        (b'{"name":"x","n":1,"m":2}', "m", "; it takes: name, n"),
        (b'{"name":"x"}', "n", "; it takes: name, n"),
        (b"[", "", "shop.buy: "),
    ],
)
def test_arguments_that_do_not_fit_name_the_field_and_what_there_is(body: bytes, field: str, says: str) -> None:
    fault = refusal(body)
    assert (fault.code, fault.executed, fault.details) == ("INVALID_ARGUMENT", "not_executed", {"field": field})
    assert says in fault.message


def test_a_codecs_own_verdict_keeps_its_code() -> None:
    fault = invalid_fault(BUY, TooLarge("9 bytes", executed="not_executed", details={"size": 9}))
    assert (fault.code, fault.message, fault.details) == ("TOO_LARGE", "shop.buy: 9 bytes", {"size": 9})


def test_arguments_that_cannot_be_sent_were_not_sent() -> None:
    found = unsendable(BUY, TypeError("Encoding objects of type object is unsupported"))
    assert isinstance(found, InvalidPayload)
    assert found.executed == "not_sent"


def test_a_result_that_does_not_fit_was_executed() -> None:
    assert invalid_result(BUY, "far", ValueError("x")).executed == "executed"


@pytest.mark.parametrize("code", sorted(set(RULES) - {"APPLICATION"}))
def test_every_code_becomes_its_exception_with_all_it_knows(code: Any) -> None:
    fault = Fault(code=code, message="m", executed="not_executed", retry_after_s=0.5, details={"a": 1})
    arrived = to_error(fault, BUY, "far")
    assert type(arrived) is RULES[code].error
    assert isinstance(arrived, CallError)
    assert (arrived.service, arrived.method, arrived.instance) == ("shop", "buy", "far")
    assert (arrived.executed, arrived.retry_after, arrived.details) == ("not_executed", 0.5, {"a": 1})


def test_only_errors_of_services_can_be_declared_and_only_own_refusals_are_arguments() -> None:
    assert find_declared(Taken("ada"), {"taken": TAKEN})
    assert not find_declared(Closed("x"), {"taken": TAKEN})
    assert not find_declared(KeyError("taken"), {"taken": TAKEN})
    assert refuses_own_arguments(InvalidPayload("x", service="shop", method="buy"), BUY)
    assert not refuses_own_arguments(InvalidPayload("x", service="bank", method="pay"), BUY)
