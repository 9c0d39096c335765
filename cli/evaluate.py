def evaluate() -> None:
    "stub"
