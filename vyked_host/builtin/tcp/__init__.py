"""The transport ``tcp``: the native protocol (`vyked_host.wire`) on sockets, with batched output, credit and timers."""
