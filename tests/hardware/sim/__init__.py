"""Tests of the same without a Pi."""
