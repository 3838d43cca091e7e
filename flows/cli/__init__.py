"""The command line: `aimd`. Commands import what is heavy when they run, so that `--help` answers at once."""
