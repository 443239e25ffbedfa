"""The embedded registry and event bus: nothing else has to be installed or started."""
