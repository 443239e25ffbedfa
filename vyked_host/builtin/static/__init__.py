"""The `static` registry: hosts at addresses that are written down."""
