"""An outbox in an SQLite database of the author's."""
