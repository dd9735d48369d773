"""The command line `xrd` in the source tree: ``python -m cli``. The installed `xrd` starts ``xrdml.commands``, too."""

from xrdml.commands import app, main

__all__ = ["app"]

if __name__ == "__main__":
    main()
