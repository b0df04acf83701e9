"""Where the embedded server lives: its folders, their modes, and the OS account that owns the data.

    home/postgres/                 0700   locks, password, log: always this user's
    home/postgres/data/            0700   the cluster
    home/postgres/run/             0700   the unix socket

PostgreSQL refuses to run as root. Root lends it the account `postgres` or `nobody`; when that account can't reach
`home` (root's home is 0700), data and socket live in `/var/lib/jobnb/<hash of home>/`, and `home/postgres/data` is a
symbolic link to it. Folders above `home` are never changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_DATABASE_ADVICE = "or set DATABASE_URL to a PostgreSQL server of yours"
ROOT_AREA = Path("/var/lib/jobnb")
SOCKET_NAME = ".s.PGSQL.5432"

# sun_path holds 108 bytes on Linux and 104 elsewhere, a zero byte included.
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_ACCOUNTS_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The OS account that owns the data and runs the server.

    Attributes:
        name: as in the password database; empty on Windows.
        lent: this process is root, and the account is another one.
    """

    uid: int
    gid: int
    name: str
    lent: bool = False

    def spawn_options(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` that make a child run under this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.lent else {}

    def give(self, path: Path) -> None:
        """Hand a file or folder that this process made to the account."""
        if self.lent:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True)
class Folders:
    """The paths of one embedded server. Nothing is made until `make`."""

    home: Path
    data: Path
    account: Account

    @property
    def base(self) -> Path:
        """Locks, password and log; owned by this user."""
        return self.home / "postgres"

    @property
    def log(self) -> Path:
        """What the server writes to standard error."""
        return self.base / "server.log"

    @property
    def password(self) -> Path:
        """The password of the role, for connections over TCP."""
        return self.base / "password"

    @property
    def key(self) -> str:
        """12 hex digits that stand for `home` in names outside of it."""
        return _key(self.home)

    def make(self) -> None:
        """Make the user's own part, `home` and `base`, where it is missing; check it where it is there.

        Raises:
            ConfigurationError: `home` belongs to another user, or other users may write in it.
            OSError: the file system said no.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(self.home, os.getuid() if hasattr(os, "getuid") else None, forbidden=0o022)
        inside = self.data.parent == self.base
        # A lent account has to pass through to reach its data; it can't list, and the files are 0600.
        _make_private(self.base, 0o711 if self.account.lent and inside else 0o700)

    def make_area(self) -> None:
        """Make the folder around the data where that is not `base`; callers hold the start lock.

        Raises:
            ConfigurationError: somebody else made it.
            OSError: the file system said no.
        """
        area = self.data.parent
        if area == self.base:
            return
        if area.parent == ROOT_AREA:
            make_root_area()
        self._make_given(area)
        link = self.base / "data"
        if not link.is_symlink():
            link.symlink_to(self.data)

    def make_socket_folder(self) -> Path:
        """A folder for the unix socket that only this user (and the account) can enter; callers hold the start lock.

        Raises:
            ConfigurationError: none can be had.
        """
        for folder in self._socket_folders():
            if len(os.fsencode(folder / SOCKET_NAME)) > _LONGEST_SOCKET_PATH or "," in str(folder):
                continue  # libpq reads a comma as the end of a host name
            self._make_given(folder)
            return folder
        raise ConfigurationError(
            f"no folder for the embedded server's socket: {self.home} and the temporary folder have too long names; "
            f"set JOBNB_HOME or TMPDIR to a shorter path, {OTHER_DATABASE_ADVICE}"
        )

    def checked_socket_folder(self, folder: Path) -> Path:
        """`folder`, where a server says that its socket is, if only this user and the account can enter it.

        The environment of the process that started the server chose it: TMPDIR may be another one here.

        Raises:
            ConfigurationError: others can enter it.
        """
        _check_private(folder, self.account.uid, forbidden=0o077)
        return folder

    def _make_given(self, folder: Path) -> None:
        """Make a folder that is the account's from the first moment it has its name, or check the one that is there.

        Made and then given away, it would be somebody else's for a moment, or for ever if this process is killed.
        """
        for left_over in folder.parent.glob(f"{folder.name}.new-*"):  # of a process that was killed here
            with suppress(OSError):
                left_over.rmdir()
        if not os.path.lexists(folder):
            temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
            try:
                self.account.give(temporary)
                temporary.rename(folder)  # over one that another process made meanwhile only if that is still empty
            except OSError:
                if not os.path.lexists(folder):
                    raise
        _check_private(folder, self.account.uid, forbidden=0o077)

    def _socket_folders(self) -> Iterator[Path]:
        yield self.data.parent / "run"
        name = f"jobnb-{self.account.uid}-{self.key}"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if runtime and os.access(runtime, os.W_OK) and not self.account.lent:
            yield Path(runtime) / name
        yield Path(tempfile.gettempdir()).absolute() / name
        yield Path("/tmp") / name


def locate(home: Path) -> Folders:
    """Find out where the server of `home` lives, or would live; changes nothing.

    Args:
        home: `JOBNB_HOME`; it need not exist.

    Raises:
        ConfigurationError: no account is there that PostgreSQL would run under.
    """
    home = Path(os.path.realpath(home.expanduser()))
    if "\n" in str(home) or "\r" in str(home):
        raise ConfigurationError(f"the name of JOBNB_HOME has a line break: {str(home)!r}; choose another folder")
    data = home / "postgres" / "data"
    if sys.platform == "win32":
        return Folders(home, data, Account(0, 0, ""))
    if os.geteuid() != 0:
        return Folders(home, data, _own_account())
    if data.is_symlink():
        data = Path(os.path.realpath(data))
    account = _account_for_root(data)
    if data.parent == home / "postgres" and not can_reach(account, home):
        data = ROOT_AREA / _key(home) / "data"
        account = _account_for_root(data)
    return Folders(home, data, account)


def make_root_area() -> None:
    """Make the folder for what root keeps for a lent account, which may pass through it.

    Raises:
        ConfigurationError: somebody else made it.
        OSError: the file system said no.
    """
    ROOT_AREA.mkdir(mode=0o711, parents=True, exist_ok=True)
    _check_private(ROOT_AREA, 0, forbidden=0o022)
    ROOT_AREA.chmod(0o711)


def can_reach(account: Account, folder: Path) -> bool:
    """Whether the account may pass through all folders down to `folder`, and enter (or execute) that one."""
    for path in (folder, *folder.parents):
        try:
            found = path.stat()
        except OSError:
            return False
        owner_or_group = (found.st_uid == account.uid, found.st_gid == account.gid)
        needed = stat.S_IXUSR if owner_or_group[0] else stat.S_IXGRP if owner_or_group[1] else stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def own_name() -> str:
    """The name under which the operating system knows the user of this process.

    Raises:
        ConfigurationError: the user id has no name, and PostgreSQL needs one.
    """
    return _own_account().name


def _own_account() -> Account:
    import pwd

    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise ConfigurationError(
            f"the embedded PostgreSQL can't start: user id {os.geteuid()} has no name in /etc/passwd, and PostgreSQL "
            f"needs one; add an entry (in a container image: useradd), {OTHER_DATABASE_ADVICE}"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _account_for_root(data: Path) -> Account:
    """The account that owns the data already, else the first of the usual ones."""
    import pwd

    with suppress(OSError, KeyError):
        owner = pwd.getpwuid(data.lstat().st_uid)
        if owner.pw_uid != 0:
            return Account(owner.pw_uid, owner.pw_gid, owner.pw_name, lent=True)
    for name in _ACCOUNTS_FOR_ROOT:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, lent=True)
    raise ConfigurationError(
        "the embedded PostgreSQL can't start: it refuses to run as root, and there is no account named "
        f"{' or '.join(_ACCOUNTS_FOR_ROOT)}; make one, use an ordinary user, {OTHER_DATABASE_ADVICE}"
    )


def _key(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def _make_private(path: Path, mode: int) -> None:
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    _check_private(path, os.getuid() if hasattr(os, "getuid") else None, forbidden=0)
    path.chmod(mode)


def _check_private(path: Path, owner: int | None, *, forbidden: int) -> None:
    """Refuse a folder that is a link, belongs to somebody else, or is open to others."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(
            f"{path} is not a folder ({stat.filemode(found.st_mode)}), and the embedded PostgreSQL needs one there; "
            f"move it away, set JOBNB_HOME to another folder, {OTHER_DATABASE_ADVICE}"
        )
    if owner is None:
        return
    if found.st_uid != owner:
        raise ConfigurationError(
            f"{path} belongs to another user (id {found.st_uid}, expected {owner}): the embedded PostgreSQL won't "
            f"trust it; set JOBNB_HOME to a folder of your own, {OTHER_DATABASE_ADVICE}"
        )
    if found.st_mode & forbidden:
        raise ConfigurationError(
            f"{path} is open to other users ({stat.filemode(found.st_mode)}), who could read or change the data; run: "
            f"chmod go-{'w' if forbidden == 0o022 else 'rwx'} '{path}'"
        )
