"""Numbers as people read them: as many digits as the interval warrants, units that fit, real minus signs."""

import math
from collections.abc import Sequence

__all__ = [
    "MINUS",
    "MISSING",
    "NARROW_SPACE",
    "compact",
    "count",
    "decimals_for",
    "duration",
    "fixed",
    "interval",
    "listed",
    "numbered",
    "p_cell",
    "p_value",
    "percent",
    "signed",
    "significant",
    "size",
    "usd",
]

MISSING = "–"
"""What stands where there is no number."""

MINUS = "\u2212"
NO_BREAK_SPACE = "\u00a0"
NARROW_SPACE = "\u202f"  # between a number and its unit: they stay on one line


def decimals_for(*intervals: tuple[float, float]) -> int:
    """Decimals to show numbers with, given their intervals (low, high).

    The widest interval decides: its half width keeps two significant digits, as in 0.845 (0.829 to 0.861). Where that would
    show both ends of a narrower interval alike, one decimal is added: more would be invented for the widest. Six at most. Empty
    or zero-width intervals: 3.
    """
    known = [(low, high) for low, high in intervals if high > low]
    if not known:
        return 3
    half_width = max(high - low for low, high in known) / 2
    decimals = min(6, max(0, 1 - math.floor(math.log10(half_width))))
    hides = any(fixed(low, decimals) == fixed(high, decimals) for low, high in known)
    return min(6, decimals + 1) if hides else decimals


def fixed(value: float, decimals: int) -> str:
    """`value` with that many decimals, thousands separated by commas."""
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def signed(value: float, decimals: int) -> str:
    """`value` with its sign, plus or minus; zero has none."""
    text = fixed(value, decimals)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def interval(low: float, high: float, decimals: int) -> str:
    """`0.829–0.861`, or `−0.012 to 0.004` where a minus sign would run into the dash."""
    between = " to " if low < 0 or high < 0 else "–"
    return f"{fixed(low, decimals)}{between}{fixed(high, decimals)}"


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, in powers of ten where it is tiny or huge: 0.693, 12.3, 2×10⁻⁴ is written 2e−4."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else MISSING
    if not 1e-3 <= abs(value) < 1e7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    rounded = float(f"{value:.{digits}g}")
    return fixed(rounded, max(0, digits - 1 - math.floor(math.log10(abs(rounded)))))


def count(value: float) -> str:
    """A whole number: 4,000."""
    return fixed(round(value), 0)


def numbered(number: int, noun: str) -> str:
    """1 row, 2 rows."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """`lora`, `lora and full`, `head, lora and full`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def compact(value: float) -> str:
    """A large count in three digits: 22.7 M, 135 M, 1.24 B; whole below 10,000."""
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(unit, 1e4):
            return f"{significant(value / unit)}{NARROW_SPACE}{name}"
    return count(value)


def percent(share: float) -> str:
    """A share of one in percent, two digits at least: 1.3 %, 48 %, 0.02 %."""
    value = 100 * share
    if value == 0:
        text = "0"
    elif abs(value) < 0.01:
        text = "<0.01"
    else:
        text = fixed(value, 0) if abs(value) >= 9.95 else significant(value, 2)
    return f"{text}{NARROW_SPACE}%"


def p_value(p: float) -> str:
    """`p < 0.001`, `p = 0.004`, `p = 0.41`: two decimals, three where two would hide the side of 0.01 or 0.05. Unbroken by line ends."""
    text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 or 0.045 <= p < 0.055 else f"p = {min(p, 1.0):.2f}"
    return text.replace(" ", NO_BREAK_SPACE)


def p_cell(p: float | None) -> str:
    """The p-value alone, as a table's cell."""
    return MISSING if p is None else p_value(p).removeprefix(f"p{NO_BREAK_SPACE}").removeprefix(f"={NO_BREAK_SPACE}")


def duration(seconds: float) -> str:
    """0.42 s, 8.1 s, 42 s, 1 min 06 s, 2 h 05 min, 3 d 04 h."""
    if seconds < 0.005:
        return f"0{NARROW_SPACE}s"
    if seconds < 9.95:
        return f"{seconds:.2g}{NARROW_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NARROW_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{NARROW_SPACE}min {whole % 60:02d}{NARROW_SPACE}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}{NARROW_SPACE}h {minutes % 60:02d}{NARROW_SPACE}min"
    hours = round(seconds / 3600)
    return f"{hours // 24}{NARROW_SPACE}d {hours % 24:02d}{NARROW_SPACE}h"


def size(num_bytes: float) -> str:
    """Bytes in decimal units, as file browsers and disks count: 712 B, 3.61 MB, 1.42 GB."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(num_bytes) >= 0.9995 * unit:
            return f"{significant(num_bytes / unit)}{NARROW_SPACE}{name}"
    return f"{count(num_bytes)}{NARROW_SPACE}B"


def usd(value: float) -> str:
    """US dollars, two digits at least: $0, $0.00042, $0.10, $1.25, $1,240."""
    if value == 0:
        return "$0"
    decimals = 0 if value >= 1000 else 2 if value >= 1 else max(2, 1 - math.floor(math.log10(value)))
    return f"${fixed(value, decimals)}"
