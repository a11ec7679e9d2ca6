"""Tests of the audio stream."""
