"""What the cloud counts while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """What the cloud counts while it runs; all but the last over the stream.

    - ``connections``: upgrades that were accepted.
    - ``connections_open``: those that are open now.
    - ``refused_upgrades``: upgrades that were refused, whatever for.
    - ``malformed_messages``: messages that the dialect does not allow.
    - ``outdated_messages``: speech and cancels of a turn that was over.
    - ``late_packets``: pieces of a reply that were sent on command after its turn was over.
    - ``refused_tokens``: tokens that were refused, over HTTP, the sync socket and the stream.
    """

    connections: int = 0
    connections_open: int = 0
    refused_upgrades: int = 0
    malformed_messages: int = 0
    outdated_messages: int = 0
    late_packets: int = 0
    refused_tokens: int = 0

    def to_json(self) -> dict[str, int]:
        """Write them as the control API shows them."""
        return asdict(self)
