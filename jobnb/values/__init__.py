"""What functions return, as JSON that PostgreSQL keeps and any process can read without running code.

encode.py    `encode`, `encode_fields`
decode.py    `decode`
walk.py      the walk over a value: limits, circles, what is left out where
kinds.py     the encoders by type; foreign.py those for NumPy, pandas and pydantic
order.py     the orders of keys that jsonb loses
stored.py    what stands in for an object whose class is not loaded
preview.py   a short text of any value
"""

from jobnb.values.decode import decode
from jobnb.values.encode import Encoded, encode, encode_fields
from jobnb.values.preview import preview
from jobnb.values.stored import NotStored, Stored

__all__ = ["Encoded", "NotStored", "Stored", "decode", "encode", "encode_fields", "preview"]
