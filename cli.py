"""The command line `xrd` in the source tree: ``python -m cli``. The installed `xrd` starts the same."""

from xrdml.commands.app import app, main

__all__ = ["app"]

if __name__ == "__main__":
    main()
