"""Subjects whose mechanism is known because their weights are written, not trained.

Slots of the residual stream, heads wired between them, a vision tower that reads the scenes, and the
mechanisms of the controls. `llava` and `qwen2_vl` hold what is an architecture's own; all else knows none.
"""
