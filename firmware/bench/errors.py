"""What can go wrong with measuring.

BenchError
└── SectionError    a section cannot be measured on this machine; the message says what to do
"""

from __future__ import annotations


class BenchError(Exception):
    """Root of everything raised by this package; its text is one line for a person."""


class SectionError(BenchError):
    """A section cannot be measured on this machine."""
