"""The asyncio objects of a host. Collaborators are passed in; decisions come from the pure layers below; nothing here
knows pluggy, files or the command line."""
