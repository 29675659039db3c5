"""What is written into a control, checked on every scene of a finite set by hooks of torch."""
