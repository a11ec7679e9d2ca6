"""The app that is flashed: composition, the loop, configuration, command line."""
