"""What functions return, as JSON that PostgreSQL keeps and any process can read without running code.

encode.py    `encode`, `encode_fields`
decode.py    `decode`; arrays.py and classes.py make arrays and objects of loaded classes
walk.py      the walk over a value: limits, circles, what is left out where
kinds.py     the table of encoders by type; objects.py and foreign.py hold the longer ones
advice.py    why a value can't be stored, and what to return instead
beside.py    what jsonb loses: the orders of keys, and (numpy_types.py) NumPy's types
stored.py    what stands in for an object that can't be itself here
preview.py   a short text of any value
"""

from jobnb.values.decode import decode
from jobnb.values.encode import Encoded, encode, encode_fields
from jobnb.values.preview import preview
from jobnb.values.stored import NotStored, Stored

__all__ = ["Encoded", "NotStored", "Stored", "decode", "encode", "encode_fields", "preview"]
