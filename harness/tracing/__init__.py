"""The only code that touches nnsight or hooks.

`site` names places in the network, `capture` reads them, `edit` writes them and reads the answer,
`selfcheck` proves by effect that they are where the anatomy says, `conformance` and `seeing` all the rest that
experiments take for granted.
"""
