"""All that a service author sees: decorators, base classes, clients, context; and how the host reads and binds them.

Modules: `endpoints` and `decorators` (what is written over a method), `base` (Contract, Service, attaching),
`dependencies` and `clients` (declaring and calling other services), `context`; for the host: `inspect` (class ->
description), `shapes`, `routes`, `conformity` (its parts), `binding` (description + instance -> callables);
`classic` (the ancestor's classes, reduced to the same descriptions). No web framework is imported here.
"""
