"""Sizes in words."""


def size_text(nbytes: int) -> str:
    """Bytes in the unit that reads best, decimal: 999 B, 1.5 kB, 12.3 MB."""
    size, unit = float(nbytes), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"
