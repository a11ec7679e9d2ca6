"""Tests of `firmware.cloud`."""
