"""@work and @enqueue: what they make of a class, and what they refuse."""

from datetime import UTC, datetime

import pytest
from msgspec import Struct

from vyked_host import Contract, Service, enqueue, publish, work, xsubscribe
from vyked_host.errors import UsageError
from vyked_host.service.inspect import describe


class Mail(Struct, frozen=True):
    to: str


class Mailer(Service, name="mailer", version="2.1.0"):
    @work(concurrency=3, max_deliveries=2)
    async def send(self, job: Mail) -> None:
        self.sent = job.to


class Shop(Service, name="shop", version="1.0.0"):
    @enqueue(Mailer.send, delay=5.0, sensitive=("to",))
    def mail(self, to: str) -> Mail:
        return Mail(to)

    @enqueue("mailer.send", version="2")
    def mail_by_name(self, to: str) -> dict[str, str]:
        return {"to": to}


def test_a_queue_is_an_exclusive_subscription_of_its_own_service():
    (found,) = describe(Mailer).subscriptions
    assert (found.service, found.major, found.event, found.handler) == ("mailer", 2, "work-send", "send")
    assert (found.payload, found.exclusive, found.queue) == (Mail, True, True)
    assert (found.concurrency, found.max_deliveries) == (3, 2)


def test_a_queue_belongs_to_the_service_under_the_name_that_it_is_served_as():
    (found,) = describe(Mailer, name="postman").subscriptions
    assert found.service == "postman"


def test_a_job_goes_to_the_queue_of_the_other_service_and_is_no_event_of_one_s_own():
    found = describe(Shop)
    assert found.events == ()
    typed, by_name = found.enqueues
    assert (typed.service, typed.version, typed.name, typed.payload) == ("mailer", "2.1.0", "work-send", Mail)
    assert (typed.attribute, typed.delays, typed.sensitive) == ("mail", True, ("to",))
    assert (by_name.service, by_name.version, by_name.name) == ("mailer", "2.0.0", "work-send")
    assert (by_name.attribute, by_name.delays) == ("mail_by_name", False)


async def test_on_one_s_own_instance_it_is_the_method():
    mailer = Mailer()
    await mailer.send(Mail("ada"))
    assert mailer.sent == "ada"


def test_without_a_host_nothing_is_enqueued():
    with pytest.raises(UsageError, match="has no host"):
        Shop().mail("ada")


def test_when_a_job_is_due_is_said_once_and_with_a_zone():
    job = Shop().mail
    with pytest.raises(UsageError, match="one of them"):
        job.using(delay=1.0, not_before=datetime.now(UTC))
    with pytest.raises(UsageError, match="time zone"):
        job.using(not_before=datetime(2026, 11, 29))
    with pytest.raises(UsageError, match="in the past"):
        job.using(delay=-1.0)


def fault(make):
    with pytest.raises(UsageError) as caught:
        describe(make())
    return str(caught.value)


def plain_def():
    class Wrong(Service, name="wrong", version="1"):
        @work
        def send(self, job: Mail) -> None: ...

    return Wrong


def two_arguments():
    class Wrong(Service, name="wrong", version="1"):
        @work
        async def send(self, job: Mail, more: int) -> None: ...

    return Wrong


def no_time_at_all():
    class Wrong(Service, name="wrong", version="1"):
        @work(max_deliveries=0)
        async def send(self, job: Mail) -> None: ...

    return Wrong


def another_type():
    class Wrong(Service, name="wrong", version="1"):
        @enqueue(Mailer.send)
        def mail(self) -> int:
            return 1

    return Wrong


def no_version():
    class Wrong(Service, name="wrong", version="1"):
        @enqueue("mailer.send", version="")
        def mail(self) -> Mail:
            return Mail("ada")

    return Wrong


def no_type():
    class Wrong(Service, name="wrong", version="1"):
        @enqueue("mailer.send", version="1")
        def mail(self):
            return 1

    return Wrong


def nameless():
    class Base(Contract):
        @work
        async def send(self, job: Mail) -> None: ...

    class Wrong(Service, name="wrong", version="1"):
        @enqueue(Base.send)
        def mail(self) -> Mail:
            return Mail("ada")

    return Wrong


def subscribed():
    class Wrong(Service, name="wrong", version="1"):
        @xsubscribe(Shop.mail)
        async def on_mail(self, event: Mail) -> None: ...

    return Wrong


def subscribed_by_name():
    class Wrong(Service, name="wrong", version="1"):
        @xsubscribe("mailer.work-send", version="2")
        async def on_mail(self, event: Mail) -> None: ...

    return Wrong


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (plain_def, ["Wrong.send", "async def"]),
        (two_arguments, ["Wrong.send", "(self, job: ItsType)"]),
        (no_time_at_all, ["count from 1"]),
        (another_type, ["Wrong.mail", "int", "Mail"]),
        (no_version, ["no version", 'version="1"']),
        (no_type, ["no type", "-> Mail"]),
        (nameless, ["nobody takes jobs"]),
        (subscribed, ["queue", "publish an event beside it"]),
        (subscribed_by_name, ["queue of mailer", "@work"]),
    ],
)
def test_faults_name_the_member_and_the_remedy(make, words):
    found = fault(make)
    for word in words:
        assert word in found


@pytest.mark.parametrize("subject", [Mail, Shop.mail, 3])
def test_what_is_no_queue_is_refused(subject):
    with pytest.raises(UsageError, match="is no queue"):
        enqueue(subject)


def test_decorators_want_methods():
    with pytest.raises(UsageError, match="@work decorates"):
        work(3)
    with pytest.raises(UsageError, match="@enqueue decorates"):
        enqueue(Mailer.send)(publish(lambda self: 1))
