"""The audio stream: the device's side of the conversation with the gateway.

How it is put together
    `messages` says what is said, `codec` what a dialect is, `dialects` how each of them writes it,
    without I/O; `wav` puts together replies that come as samples. `connection`
    lives one connection from dialling to its end; `dialler` makes it, over `paced`, which keeps a
    flood from holding up the loop. `stream` keeps one connection up, binds turns to it, and fences:
    nothing of an older turn or connection passes.
"""
