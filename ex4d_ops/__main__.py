"""`python -m ex4d_ops` is `ex4d`."""

import sys

from .cli import main

sys.exit(main())
