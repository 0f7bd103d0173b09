"""Long lists of cases, written as text."""


def words(text: str) -> list[str]:
    """Split a text into its words: a table of cases that does not fill pages."""
    return text.split()
