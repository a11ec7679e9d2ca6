"""What is said and what is heard: capture and endpointing, playback of replies, sounds of our own.

Nothing here decides how the toy behaves: `Capture` and `Playback` perform effects
of `states.effects` and post what came of them. All of it runs on the loop, except
`firmware.voice.output.OutputQueue.pull`, which the sound card may call from a thread of its own.
"""
