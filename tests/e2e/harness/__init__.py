"""Everything the end-to-end tests and the demo need of the outside world.

Real XMPP servers, a real PostgreSQL, the real program and a real client library, each started in a
throw-away directory on loopback ports and ended by process id on every way out.
"""
