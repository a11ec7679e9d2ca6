"""The toy's behaviour: a pure core. One event in, data out.

Where to begin: ``table`` is how the toy behaves; ``events`` and ``effects`` are its vocabulary;
``machine.Core`` runs it; ``journal`` and ``replay`` record it and check it later; ``explore`` and
``invariants`` show what holds whatever happens; ``diagram`` draws it.

Nothing here reads a clock, does I/O or draws a random number, and nothing of ours is imported.
"""
