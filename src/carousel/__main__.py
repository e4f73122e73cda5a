"""`python -m carousel` is the command `carousel`."""

from carousel.cli import main

if __name__ == "__main__":
    main()
