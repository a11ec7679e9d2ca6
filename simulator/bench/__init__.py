"""Sections of `pommai bench` that need the desk."""
