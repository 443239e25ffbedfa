"""The program as people run it: a process of its own, real signals, real sockets."""
