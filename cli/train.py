def train() -> None:
    "stub"
