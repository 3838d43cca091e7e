"""The examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import flows

FOUND = [name for _, name, _ in pkgutil.walk_packages(flows.__path__, "flows.")]
MODULES = [name for name in FOUND if not name.endswith("__main__")]  # to import such a one is to run it


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_documentation_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_some():
    finder = doctest.DocTestFinder()
    assert sum(bool(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name))) > 20
