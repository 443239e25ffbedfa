"""Queues and jobs of a service class -> their descriptions."""

from __future__ import annotations

import inspect
from typing import Any

from ..errors import UsageError
from ..model import names
from ..model.description import EventDescription, SubscriptionDescription
from ..model.queues import topic_name
from ..model.version import parse
from .identity import declared
from .members import Naming, check_name, members
from .places import Place, of_member
from .queues import Job, Queue
from .shapes import ensure_travels, resolve


def works_of(cls: type[object], naming: Naming) -> tuple[SubscriptionDescription, ...]:
    """Every @work method of `cls`."""
    return tuple(_work(cls, name, each, naming) for name, each in members(cls) if isinstance(each, Queue))


def _work(cls: type[object], name: str, queue: Queue[Any], naming: Naming) -> SubscriptionDescription:
    place, said = of_member(cls, name, queue.body), queue.said
    check_name(name, place)
    if said.concurrency < 1 or said.max_deliveries < 1:
        raise place.fault("concurrency and max_deliveries count from 1", "give 1 or more")
    if not inspect.iscoroutinefunction(queue.body) and not inspect.isgeneratorfunction(queue.body):
        raise place.fault("the host awaits it", "write `async def`")
    return SubscriptionDescription(
        service=naming.service, major=parse(naming.version).major, event=_topic(name, place), handler=name,
        payload=payload_of(queue, place), exclusive=True, concurrency=said.concurrency,
        max_deliveries=said.max_deliveries, queue=True,
    )  # fmt: skip


def _topic(name: str, place: Place) -> str:
    try:
        return names.name(topic_name(name))
    except UsageError as error:
        raise place.fault(str(error), "choose a shorter name") from error


def payload_of(queue: Queue[Any], place: Place) -> Any:
    """The type of the jobs of a queue. Raises UsageError naming `place`."""
    parameters = list(inspect.signature(queue.body).parameters.values())[1:]
    required = [each for each in parameters if each.default is each.empty]
    if not parameters or len(required) > 1:
        raise place.fault("it takes the job and nothing else", "write (self, job: ItsType)")
    hint = resolve(queue.body, place).get(parameters[0].name, Any)
    ensure_travels(hint, "the job", place)
    return hint


def enqueues_of(cls: type[object]) -> tuple[EventDescription, ...]:
    """Every @enqueue method of `cls`."""
    return tuple(_job(cls, name, each) for name, each in members(cls) if isinstance(each, Job))


def _job(cls: type[object], name: str, job: Job[..., Any]) -> EventDescription:
    place = of_member(cls, name, job.body)
    check_name(name, place)
    if inspect.iscoroutinefunction(job.body) or inspect.isgeneratorfunction(job.body):
        raise place.fault("the body of a job builds its payload, at once", "write a plain `def` that returns it")
    if "return" not in resolve(job.body, place):
        raise place.fault("its payload has no type", "annotate what it returns, such as `-> Mail`")
    if job.delay is not None and job.delay < 0:
        raise place.fault(f"delay={job.delay} lies in the past", "give seconds, 0 or more")
    payload = job.payload
    ensure_travels(payload, "the job", place)
    service, version, queue = _target(job, payload, place)
    return EventDescription(
        service=service, version=version, name=_topic(queue, place), payload=payload, sensitive=job.sensitive, attribute=name,
        delays=job.delay is not None,
    )  # fmt: skip


def _target(job: Job[..., Any], payload: Any, place: Place) -> tuple[str, str, str]:
    """(service, version, method) of the queue."""
    if isinstance(job.queue, Queue):
        taker = declared(job.queue.owner) if job.queue.owner else declared(object)
        if not taker.name:
            raise place.fault(
                f"nobody takes jobs of {job.queue!r}", "give the class that declares it a name and a version"
            )
        wanted = payload_of(job.queue, place)
        if wanted not in (Any, payload):
            raise place.fault(f"it makes {payload}, but the queue takes {wanted}", "return what the queue takes")
        return taker.name, taker.version or "1.0.0", job.queue.name
    try:
        service, queue, major = names.split_topic(job.queue)
        version = parse(job.version) if job.version else None
    except UsageError as error:
        raise place.fault(str(error), 'write "mailer.send", version="1"') from error
    if major is None and version is None:
        raise place.fault(f"{job.queue!r} says no version", 'add version="1"')
    return service, f"{version.major if version is not None else major}.0.0", queue
