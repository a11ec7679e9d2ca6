"""Subcommands of ``pommai``: a module each, with ``add_arguments`` and ``run``."""
