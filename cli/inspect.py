def inspect() -> None:
    "stub"
