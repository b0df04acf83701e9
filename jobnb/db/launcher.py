"""The processes of the embedded server: make a cluster, start, recognise and stop its `postgres`.

Nothing here decides *whether* to start or stop, and callers hold the start lock. No shell is involved, and no
process gets a signal that is not a `postgres` working in our data directory.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobnb.db import processes
from jobnb.db.cluster import ROLE, prepare_cluster, server_environment
from jobnb.db.folders import OTHER_DATABASE_ADVICE, SOCKET_NAME, Folders
from jobnb.db.programs import program, programs_for
from jobnb.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
