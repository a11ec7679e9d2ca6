"""What holds for every test."""

from __future__ import annotations

import hypothesis

# The machines that run this share their cores, so no example is judged by how long it took, nor its
# making; and the examples are the same everywhere, so that whoever sees a failure sees it again.
hypothesis.settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")
