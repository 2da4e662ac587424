"""Hold the source to its sizes and rules: modules, functions, `__all__`, and plug-in files that do not import each other."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tunesmith.core.registry import KINDS

ROOT = Path(__file__).parents[1]
MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 60


def problems(path: Path) -> Iterator[str]:
    """What is wrong with a file, `path:line: text` each."""
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(ROOT)
    num_lines = text.count("\n")
    if num_lines >= MOST_MODULE_LINES:
        yield f"{where}:1: {num_lines} lines; a module stays under {MOST_MODULE_LINES}. It holds two ideas: part them"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length >= MOST_FUNCTION_LINES and where.parts[0] != "tests":  # a test may hold a long table
                yield f"{where}:{node.lineno}: {node.name} has {length} lines; a function stays under {MOST_FUNCTION_LINES}"
    is_package = path.name == "__init__.py"
    if where.parts[0] == "tunesmith" and not is_package and "__all__" not in text:
        yield f"{where}:1: no __all__"
    yield from plugin_imports(path, tree)


def plugin_imports(path: Path, tree: ast.Module) -> Iterator[str]:
    """Imports of one plug-in by another: what two share belongs into a file that begins with an underscore."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    if package not in KINDS.values() or path.stem.startswith("_"):
        return
    others = {f"{package}.{file.stem}" for file in path.parent.glob("*.py") if not file.stem.startswith("_")}
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level == 1 and node.module else (package if node.level == 1 else node.module or "")
            found = [module, *(f"{module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Import):
            found = [name.name for name in node.names]
        for name in others.intersection(found):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: a plug-in imports another, {name}; what they share goes into a file _name.py beside them"


def main() -> int:
    """Print what is wrong; 1 where anything is."""
    files = [path for folder in ("tunesmith", "tests", "scripts", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [problem for path in files for problem in problems(path)]
    for problem in found:
        print(problem)
    print(f"{len(files)} files, {len(found)} problems", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
