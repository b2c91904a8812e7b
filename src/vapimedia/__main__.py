"""``python -m vapimedia`` is the command ``vapimedia``."""

from vapimedia.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
