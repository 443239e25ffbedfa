"""Who is passed over by one client, and for how long: the decisions of `routing.outliers` on the instances of a target."""

from __future__ import annotations

from ..contracts import Clock
from ..routing.outliers import pause
from .directory import Target
from .instances import Instance, pardon


class Ejection:
    """Of one client. `first_s`: for how many seconds an instance is passed over the first time; `rest_s`: for how many one that
    could not be dialled is."""

    def __init__(self, target: Target, clock: Clock, first_s: float, rest_s: float) -> None:
        self._target, self._clock, self._first_s, self._rest_s = target, clock, first_s, rest_s

    def failed(self, instance: Instance) -> None:
        """Pass over an instance that fails again and again, while enough others are left."""
        instance.failures += 1
        every = self._target.instances
        out = sum(not each.usable for each in every)
        seconds = pause(instance.failures, instance.ejections, out, len(every), self._first_s)
        if not seconds or not instance.usable:
            return
        instance.usable, instance.ejected = False, True
        instance.ejections = time = instance.ejections + 1

        def over() -> None:
            if instance.ejections == time:  # not passed over again since, after a pardon
                instance.recover()

        self._clock.at(self._clock.now() + seconds, over)

    def rest(self, instance: Instance) -> None:
        """Leave an instance that can't be reached out of the choice for a moment, while there are others. Where that leaves fewer
        than half, those that merely failed are asked again."""
        if instance.usable:
            instance.usable = False
            self._clock.at(self._clock.now() + self._rest_s, instance.recover)
            pardon(self._target.instances)
