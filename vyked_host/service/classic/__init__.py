"""The ancestor's face: classes and names of Vyked 2.x, reduced to the same descriptions and handlers as the modern face.

What is documented there works; where the original was wrong, what it should have done happens (see docs, moving from
Vyked). `services` are the serving classes, `clients` the calling ones, `errors` and `log` what their names say.
"""
