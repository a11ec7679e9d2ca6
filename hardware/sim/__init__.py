"""The same interfaces without a Pi: virtual time, a virtual board, virtual sound."""
