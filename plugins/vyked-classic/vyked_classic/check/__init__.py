"""``vyked-host classic check``: what an old module needs before it runs, what behaves differently, and its modern form. Nothing of
the module is run: it is read.

`source` reads, `findings` judges, `services` finds services and clients, `modern` writes them anew, `command` is the command.
"""
