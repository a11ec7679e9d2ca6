"""The audio stream: the device's side of the conversation with the gateway.

How it is put together
    `messages` says what is said, `codec` how it is written in a dialect, without I/O. `connection`
    lives one connection from dialling to its end; `dialler` makes it, over `paced`, which keeps a
    flood from holding up the loop. `stream` keeps one connection up, binds turns to it, and fences:
    nothing of an older turn or connection passes.
"""
