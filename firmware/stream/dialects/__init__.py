"""The dialects of the stream: one file each, and what they have in common.

`text` takes JSON apart, `fields` checks what is in it. `seed` is the dialect of the project's seed,
`gateway` that of the gateways there are, `binary` the one that is made for speech. `choice` says
which of them a connection speaks.
"""
