"""``python -m xrdml`` is the command ``xrd``."""

from xrdml.commands.app import main

if __name__ == "__main__":  # processes that are started import this module, too
    main()
