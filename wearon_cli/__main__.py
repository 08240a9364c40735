"""`python -m wearon_cli`, the same as `wearon`."""

from wearon_cli.app import main

if __name__ == "__main__":
    main()
