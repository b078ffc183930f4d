"""The one error of this package for bad input: a line that names file, field, what was expected and what was found."""


class CheckpointError(ValueError):
    """`file: field: expected X, found Y`; commands print it and end with status 1."""

    def __init__(self, file: str, field: str, expected: str, found: object) -> None:
        super().__init__(f"{file}: {field}: expected {expected}, found {found}")
