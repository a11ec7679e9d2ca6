"""The type of JSON, and of Convex values, where a test looks into them."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""Of whatever shape the test says; no type could know."""
