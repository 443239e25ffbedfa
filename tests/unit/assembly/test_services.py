"""Two services of one name are one while no call could mean both."""

import pytest

from vyked_host import Service, api, get
from vyked_host.assembly.services import Planned, described, refuse_twins
from vyked_host.errors import UsageError


class One(Service, name="one", version="1.0.0"):
    @api
    async def work(self) -> None: ...


class Again(Service, name="one", version="1.0.0"):
    @api
    async def work(self) -> None: ...


class Newer(Service, name="one", version="2.0.0"):
    @api
    async def work(self) -> None: ...


class Beside(Service, name="one", version="1.0.0"):
    @api
    async def rest(self) -> None: ...


class Raw(Service, name="one", version="1.0.0"):
    @get("/work")
    async def work(self, request: object) -> None: ...


def planned(service: type) -> Planned:
    return Planned(described(service()), service(), None)


def test_two_that_serve_one_endpoint_are_refused_with_both_names_and_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"one\.work 1\.0\.0 is served by One and by Again; .*\[services\.X\] name"):
        refuse_twins([planned(One), planned(Again)])


@pytest.mark.parametrize("other", [Newer, Beside])
def test_another_version_and_other_endpoints_are_no_twins(other: type) -> None:
    refuse_twins([planned(One), planned(other)])
