"""What a batch is sent as: the parameters of the recorder's statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.recorder.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.recorder.events import Event, PlainEnd


def payload(events: Sequence[Event]) -> tuple[str, str]:
    """The events as a JSON array, and as another one what they share, which they name by its place."""
    places: dict[str, int] = {}
    objects, last, ending = [], "", "}"
    for kind, job_id, attempt, members, shared, _ in events:
        if kind is EventKind.LOGS:
            objects.append(members)
            continue
        if shared is not last:
            last, ending = shared, f',"shared":{places.setdefault(shared, len(places))}}}' if shared else "}"
        objects.append(f'{{"job_id":"{job_id}","attempt":{attempt},{members}{ending}')
    return f"[{','.join(objects)}]", _shared_array(places)


def arrays(ends: Sequence[PlainEnd]) -> list[str]:
    """Plain ends as a JSON array of what they share, and seven array literals: see `record_done`."""
    places: dict[str, int] = {}
    ids, shared, *times, values = zip(*ends, strict=True)
    places_of = [str(places.setdefault(members, len(places))) for members in shared]
    # JSON has no control characters in it: all values are quoted at once
    quoted = "\x1f".join(values).replace("\\", "\\\\").replace('"', '\\"').replace("\x1f", '","')
    columns = [f"{{{','.join(column)}}}" for column in (ids, places_of, *times)]
    return [_shared_array(places), *columns, f'{{"{quoted}"}}']


def _shared_array(places: dict[str, int]) -> str:
    shares = [f'{{"place":{place},{shared}}}' for shared, place in places.items()]
    return f"[{','.join(shares)}]"
