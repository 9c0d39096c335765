"""Sizes and large counts in words."""


def size_text(nbytes: int) -> str:
    """Bytes in the unit that reads best, decimal: 999 B, 1.5 kB, 12.3 MB."""
    size, unit = float(nbytes), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"


def count_text(count: int) -> str:
    """A count in the unit that reads best, three digits: 999, 1.50 k, 12.3 M, 456 G."""
    size, unit = float(count), ""
    for larger in ("k", "M", "G"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    if not unit:
        return str(count)
    return f"{size:.{max(0, 3 - len(str(int(size))))}f} {unit}"
