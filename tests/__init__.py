"""The tests mirror the source tree; two files here look after the tree as a whole."""
