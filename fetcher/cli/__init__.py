"""The command line: `fetcher`."""


def main() -> None:
    """Run the `fetcher` command and leave with its exit code."""
    import sys

    from fetcher.cli.app import run

    sys.exit(run(sys.argv[1:]))
