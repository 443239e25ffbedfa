"""Letters between hosts."""
