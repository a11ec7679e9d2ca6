"""The toy on a desk: the demo, and what it needs around the firmware."""
