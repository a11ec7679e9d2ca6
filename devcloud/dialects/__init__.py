"""The three dialects of the audio stream, each without I/O and in a file of its own.

``seed`` is JSON texts with hex audio; ``gateway`` the JSON that existing Pommai gateways speak;
``binary`` the seed's control messages with audio as binary messages behind a small header. What
they say is the same, and stands in ``messages``; ``dialect`` is the interface that they share.
"""
