def export() -> None:
    "stub"
