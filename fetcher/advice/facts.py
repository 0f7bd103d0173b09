"""The rows of the table: facts of a failure, and the sentence for them."""

Facts = dict[str, object]
Cases = dict[str, tuple[tuple[Facts, str], ...]]
