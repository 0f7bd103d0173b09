"""The command line."""


def main() -> None:
    """Run the `fetcher` command."""
