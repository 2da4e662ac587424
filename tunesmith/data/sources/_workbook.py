"""What a reader of the report should know of a workbook."""

from pathlib import Path

from tunesmith.data._xlsx import sheet_names

__all__ = ["other_sheets"]


def other_sheets(path: Path, shown: str) -> tuple[str, ...]:
    """Which sheet of a workbook is read where none is named, and which are not; nothing for another file, or for one sheet. Raises: DataError."""
    if path.suffix.lower() != ".xlsx" or not path.is_file():
        return ()
    first, *others = sheet_names(path, shown)
    if not others:
        return ()
    named = ", ".join(f'"{name}"' for name in others[:5]) + (", ..." if len(others) > 5 else "")
    return (f'{shown}: read its first sheet, "{first}"; not {named}: {{file: {shown}, sheet: NAME}} reads another',)
