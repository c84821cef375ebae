"""Tests that need what not every system has: they say so and are skipped there, and fail where everything must run."""

import importlib
import os

import pytest


def lacking(what: str, why: str) -> None:
    """Skips what needs `what`; under continuous integration, where it has to be there, that is a failure."""
    reason = f"{what} is not here, so what needs it is skipped: {why}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def module(name: str, package: str):
    """A Python module, or the reason why its tests do not run."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacking(package, str(error))
