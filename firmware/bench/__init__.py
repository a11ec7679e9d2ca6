"""Measurements, a section each, for `pommai bench`; see `firmware.bench.section`."""
