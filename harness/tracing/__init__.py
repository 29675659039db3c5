"""The only code that touches nnsight or hooks: it reads and changes what a model computes.

`site` names the places in the network, `capture` reads them, `edit` says what is changed there, and `replay`
gives the answers after many edits. `selfcheck` proves by effect that the places are where the anatomy says;
`conformance` and `seeing` check everything else that experiments take for granted.
"""
