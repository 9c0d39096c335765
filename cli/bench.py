def bench() -> None:
    "stub"
