import no_such_module_inside  # noqa: F401
