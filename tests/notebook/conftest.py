"""One kernel for each module of tests, with a database of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from kernel_driver import Kernel, running_kernel

from jobnb.db.embedded import EmbeddedServer

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def module_database(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database for one module."""
    parts, name = server.conninfo(), f"notebook_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(**parts, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_with_schema")  # type: ignore[arg-type]
        yield f"postgresql://{parts['user']}@/{name}?host={parts['host']}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kernel(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in which jobnb is imported."""
    folder: Path = tmp_path_factory.mktemp("kernel")
    with running_kernel(folder, JOBNB_HOME=str(folder / "home"), DATABASE_URL=module_database) as kernel:
        kernel.run("import asyncio, jobnb, logging, sys, threading, time, warnings")
        yield kernel
