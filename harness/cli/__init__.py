"""The command `claims`, with one file for each subcommand."""
