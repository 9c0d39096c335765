def webcam() -> None:
    "stub"
