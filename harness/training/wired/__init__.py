"""Subjects whose mechanism is known because their weights are written, not trained.

Slots of the residual stream, heads wired between them, a vision tower that reads the scenes, and the
mechanisms of the controls. The architecture is the one that `tiny-llava` has.
"""
