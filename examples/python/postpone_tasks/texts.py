"""Texts within their bounds, and as a person reads them."""

MOST_TEXT_BYTES = 8192  # of a message, and of a line for the log


def begin_of(text, most_bytes):
    """As many whole letters as there is room for."""
    encoded = text.encode("utf-8", "backslashreplace")
    return text if len(encoded) <= most_bytes else encoded[:most_bytes].decode("utf-8", "ignore")


def shortened(text):
    begin = begin_of(text, MOST_TEXT_BYTES)
    return begin if begin == text else begin + "…"


def log_line(level, text, fields):
    """Where there is no log with levels and fields."""
    return f"{level}: {text}" + ("" if fields == "{}" else f" {fields}")


def type_of(error):
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
