"""A computer that tells of itself what it is told to tell."""

from __future__ import annotations

from hardware.sensors import Reading


class VirtualSensors:
    """`hardware.sensors.Sensors` whose reading is set, and which counts how often it was read."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading or Reading()
        """What the next look brings."""
        self.reads = 0

    def read(self) -> Reading:
        """Return the reading as it was set."""
        self.reads += 1
        return self.reading
