"""The whole toy, with real sound: the process itself against a sound server and a cloud."""
