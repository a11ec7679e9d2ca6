"""The whole toy beside a development cloud that does what is worst, over real sockets."""
