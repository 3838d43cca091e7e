"""`python -m flows.cli`: the command line where the `aimd` script is not on the path."""

from flows.cli import main

if __name__ == "__main__":
    main()
