"""A checker of transparency logs, written against the texts of C2SP alone.

It shares no code with the node, so that a mistake in the one is not made again by the other:
signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature (https://c2sp.org) and RFC 6962, section 2.1.
"""
