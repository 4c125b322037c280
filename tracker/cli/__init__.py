"""The command line: words in, one session or one answer out, and an exit code. Each command is thin."""
