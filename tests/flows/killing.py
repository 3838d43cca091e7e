"""A process that dies at a page: nothing catches it, and only what was committed is there afterwards."""


class Killed(BaseException):
    """As a signal would: nothing catches it."""


class KilledBeforeOrAfter:
    """The evidence store, which the process does not survive at the n-th page: just before it is stored, or after."""

    def __init__(self, evidence, pages_left, stored):
        self._evidence, self._left, self._stored = evidence, pages_left, stored

    def __getattr__(self, name):
        return getattr(self._evidence, name)

    def commit_page(self, *args, **kwargs):
        self._left -= 1
        if self._left >= 0:
            return self._evidence.commit_page(*args, **kwargs)
        if self._stored:
            self._evidence.commit_page(*args, **kwargs)
        raise Killed


class StoreOf:
    """A store with another evidence store."""

    def __init__(self, store, evidence):
        self._store, self.evidence = store, evidence

    def __getattr__(self, name):
        return getattr(self._store, name)
