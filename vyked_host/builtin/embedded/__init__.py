"""The embedded registry and event bus: both live in this process and need nothing else to be installed or started."""
