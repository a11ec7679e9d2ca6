"""Programs that do not outlive whoever started them, however that one ends."""

from __future__ import annotations

from typing import Final

TETHER: Final = ("setpriv", "--pdeathsig", "TERM")
"""Before a command: the kernel ends it with the thread that started it; see prctl(2)."""
