"""The cloud: authentication, the toy's configuration and its guardian's commands.

How it is put together
    ``convex`` 0.8.1 holds the interpreter lock while it waits, has no timeout, and sends offline
    calls later, perhaps twice. So two halves of it are used, each where it does no harm:

    - One-shot calls go through its HTTP client, on one ``requests`` session with timeouts and
      limits (``session``), in a few threads (``workers``, ``caller``).
    - The live queries (``query``) run in a child process (``child``), which the parent kills and
      starts anew when it falls silent (``live``). Where that does not work, the same queries are
      polled (``polling``).

    ``authentication`` obtains and renews the tokens for both; ``versions`` decides which
    configuration (``configuration``) is in force and keeps it on disk (``cache``). A guardian's
    command (``command``) becomes an event once (``commands``), what it puts into force outlives a
    restart (``in_force``), a release may have to be signed (``guardian_key``), and the toy may
    become another one (``switching``, ``toy_choice``). What waits for the cloud is delivered in
    order (``delivery``, ``retrying``). ``cloud`` puts them together.

    Records for the cloud are made by ``reports`` and ``conversations`` and wait in an outbox
    (`firmware.store`). ``delivery`` calls the mutations that they become (``mutations``), each
    until the cloud has it. Stored speech goes before its conversation (``uploads``), on the same
    session. What somebody waits for is tried a few times only (``retrying``).
"""
