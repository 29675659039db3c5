"""The command claims, one file for each subcommand."""
