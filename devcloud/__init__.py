"""The development cloud: a Convex-compatible server, the stream gateway, and a voice that answers.

For the desk and for tests, on loopback only. It imports nothing of the firmware's, so that it can
judge it. ``pommai cloud`` and ``python -m devcloud`` run it alone; tests use
``devcloud.server.DevelopmentCloud``.
"""
