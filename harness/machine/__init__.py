"""What a process uses of a machine: cores and GPUs (`placement`), memory (`memory`) and files (`files`)."""
