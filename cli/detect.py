def detect() -> None:
    "stub"
