from tests.unit.loading.shelf import shelf

__all__ = ["shelf"]
