"""Task queues: what is enqueued to a service goes to exactly one instance of it. A bus carries a job as an event whose name nobody
publishes otherwise, since no method has a hyphen in its name; its one group is the service itself.
"""

from __future__ import annotations

PREFIX = "work-"


def topic_name(queue: str) -> str:
    """The name of the event that carries jobs for the @work method `queue`."""
    return f"{PREFIX}{queue}".lower()


def is_queue(name: str) -> bool:
    """Is the event of this name a job?"""
    return name.startswith(PREFIX)


def refusal(service: str, major: int, name: str, group: str | None) -> str:
    """Why a group may not take the events of this name; "": it may, or they are no jobs. Whoever is in no group may look on."""
    if group is None or not is_queue(name) or group.partition("/")[0] == group_of(service, major):
        return ""
    return f"{service}.{name}@{major} is the queue of {service}, and {group} may take nothing out of it"


def group_of(service: str, major: int) -> str:
    """The one group that takes the jobs of a service."""
    return f"{service}@{major}"
