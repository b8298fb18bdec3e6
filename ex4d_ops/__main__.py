"""`python -m ex4d_ops` is `ex4d`."""

from .cli import run

run()
