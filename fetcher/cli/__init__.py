"""The command line: `fetcher`."""


def main() -> None:
    """Run the `fetcher` command and leave with its exit code."""
    import sys

    if sys.argv[1:] == ["--version"]:
        # Everything else costs ten times as much to load.
        from fetcher import __version__

        print(__version__)
        return
    from fetcher.cli.app import run

    sys.exit(run(sys.argv[1:]))
