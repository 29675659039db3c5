"""What the machine gives and takes back: cores, GPUs, memory, files that are whole or not there."""
