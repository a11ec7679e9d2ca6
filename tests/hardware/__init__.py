"""Tests of what a person can touch."""
