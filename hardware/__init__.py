"""What a person can touch, one device per file, each behind a small interface.

Nothing here decides how the toy behaves: it reports edges, frames and levels, and shows what it is
told. `hardware.sim` holds the same interfaces without a Pi.
"""
