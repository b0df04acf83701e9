"""`python -m monitor`: reads the arguments and runs what they ask for."""

from __future__ import annotations


def main() -> None:
    """Run the monitor and leave the interpreter with its exit code."""


if __name__ == "__main__":
    main()
