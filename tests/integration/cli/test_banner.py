from vyked_host import Host, Service, api
from vyked_host.cli.run import banner, facts


class Hello(Service, name="hello", version="1.2.0"):
    @api
    async def greet(self, name: str) -> str:
        return name


async def test_the_banner_says_who_where_and_how_long_in_eight_lines():
    async with Host(Hello, text="[transports.tcp]\nport = 0\n[transports.http]\nport = 0\n") as host:
        lines = banner(host, 0.0421)
        assert len(lines) <= 8
        text = "\n".join(lines)
        assert "hello 1.2.0 (1 method)" in text
        assert "ready in 42 ms" in text
        for address in host.addresses:
            assert address.uri in text


async def test_the_log_line_has_the_same_as_data():
    async with Host(Hello, text="[transports.tcp]\nport = 0\n") as host:
        found = facts(host)
        assert found["services"] == ["hello@1.2.0"]
        assert found["addresses"] == [each.uri for each in host.addresses]
