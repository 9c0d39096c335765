def verify() -> None:
    "stub"
