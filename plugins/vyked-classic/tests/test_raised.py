"""What apis of the old face raise, as their callers hear of it: any exception with its text, whatever class it is of."""

import asyncio
import inspect

import pytest
import vyked.exceptions
from systems import System, served
from test_items import ON_THE_OLD_WIRE, Peer, port_of
from vyked import RequestException, TCPService, TCPServiceClient, VykedServiceException, api, request
from vyked.exceptions import ClientDisconnected, ClientException, ClientNotFoundError
from vyked_classic.middleware import Counting

import vyked_host
from vyked_host import InvalidPayload, NotFound

CLASSES = [each for _, each in inspect.getmembers(vyked.exceptions, inspect.isclass)]
ENDS = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
"""What a person, the interpreter and the loop say with exceptions: nobody's answer."""


class Refused(BaseException):
    """As the samples of Vyked 2.x had them: caught by no `except Exception` by mistake."""


class Numbered(VykedServiceException):
    """Written without a thought of a base class that has a `code`, a `status` and `fields` too."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.status, self.fields = code, "refused", ["name"]


class ByClass(VykedServiceException):
    code = 404


MADE = {
    "Exception": lambda: Exception("a text"),
    "BaseException": lambda: Refused("a text"),
    "VykedServiceError": lambda: vyked.VykedServiceError("a text"),
    "ClientException": lambda: ClientException("a text"),
    "ClientNotFoundError": lambda: ClientNotFoundError("a text"),
    "ClientDisconnected": lambda: ClientDisconnected("a text"),
    "RequestException": lambda: RequestException("a text"),
    "VykedException": lambda: vyked.exceptions.VykedException("a text"),
    "of a call": lambda: NotFound("a text", service="other", method="find"),
    "of a call's arguments": lambda: InvalidPayload("a text", service="other", method="find"),
    "TimeoutError": lambda: TimeoutError("a text"),
}
"""Answered with `failed`, as what the service could not handle."""
HANDLED = {
    "itself": lambda: VykedServiceException("a text"),
    "with a code of its own": lambda: Numbered(7, "a text"),
    "with a code of its class": lambda: ByClass("a text"),
}


class Raising(TCPService):
    def __init__(self):
        super().__init__("raising", 1, "127.0.0.1", 0)

    @api
    def fail(self, how):
        raise (MADE | HANDLED)[how]()

    @api
    def empty(self, how):
        raise next(each for each in CLASSES if each.__name__ == how)

    @api
    def stands(self):
        return "still"


class Caller(TCPServiceClient):
    def __init__(self):
        super().__init__("raising", 1)

    @request
    def fail(self, how):
        return locals()


@pytest.fixture
async def raising():
    """A host whose service raises, an old consumer of it, and a client object in the same process."""
    client, consumer = Caller(), TCPService("consumer", 1, "127.0.0.1", 0)
    consumer.clients = [client]
    async with vyked_host.Host(Raising(), consumer, text=ON_THE_OLD_WIRE) as host:
        old = await Peer().to(port_of(host, "classic"))
        yield old, client
        old.wire.transport.close()


async def answered(old, endpoint, **payload):
    """The payload of the answer, without its id and what the original does not read."""
    (answer,) = await old.says(
        type="request", name="raising", version="1", endpoint=endpoint, payload={"request_id": "1", **payload},
        **{"from": "f"}, to="t", entity=None, app="",
    )  # fmt: skip
    return {name: value for name, value in answer["payload"].items() if name in ("result", "error", "failed")}


@pytest.mark.parametrize("how", MADE)
async def test_whatever_an_api_raises_is_answered_with_its_text(raising, how):
    old, client = raising
    assert await answered(old, "fail", how=how) == {"error": "a text", "failed": True}
    with pytest.raises(Exception, match=r"^a text$"):
        await client.fail(how)
    assert await answered(old, "stands") == {"result": "still"}


@pytest.mark.parametrize("how", HANDLED)
async def test_what_a_service_handles_is_answered_as_that_whatever_its_class_calls_its_attributes(raising, how):
    old, client = raising
    assert await answered(old, "fail", how=how) == {"error": "a text"}
    with pytest.raises(RequestException, match=r"^a text$"):
        await client.fail(how)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda each: each.__name__)
async def test_one_that_has_no_text_is_answered_with_the_name_of_its_class(raising, kind):
    old, _ = raising
    handled = {} if kind is VykedServiceException else {"failed": True}
    assert await answered(old, "empty", how=kind.__name__) == {"error": kind.__name__, **handled}


@pytest.mark.parametrize("given", [(), ("one",), ("one", 2), (None,), (1, 2, 3)])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda each: each.__name__)
def test_every_class_takes_what_exceptions_take(kind, given):
    made, plain = kind(*given), Exception(*given)
    assert (made.args, str(made)) == (plain.args, str(plain))
    if hasattr(made, "error"):
        assert made.error == str(plain)


def test_a_client_exception_says_what_became_of_the_request_all_the_same():
    made = ClientDisconnected("gone", service="accounts", method="open", executed="unknown")
    assert (str(made), made.service, made.method, made.executed, made.call_id) == (
        "gone", "accounts", "open", "unknown", "",
    )  # fmt: skip


def wrapped(error):
    """A handler that raises it, under the middleware, of an endpoint that declares this."""
    (described,) = (each for each in Raising().__describe__().endpoints if each.name == "fail")

    async def raises(_):
        raise error

    return Counting(lambda *_: None, lambda *_: None).wrap(described, "server", raises)


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_process_or_a_task_stays_what_it_is(kind):
    running = wrapped(kind("now"))({})
    with pytest.raises(kind):
        running.send(None)


def test_old_consumers_and_new_ones_hear_the_text_in_processes(running, redis):
    """The sample of Vyked 2.x: an exception that is no Exception, over the old wire."""
    system = System(running, redis, "old")
    vendor = system.service("new")
    consumers = [system.consumer(kind) for kind in ("old", "new")]
    served("new", vendor)
    for each in consumers:
        assert each.ready().failed("denied", data=1) == ("failed", "denied 1")
        assert each.call("echo", data=2)["result"] == 2
    assert vendor.end() == 0
