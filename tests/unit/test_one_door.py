"""Who may touch the disk: read from the source, since no import tells."""

import ast
from collections.abc import Iterator
from pathlib import Path

import broker

ROOT = Path(broker.__file__).parent

# `durable` owns files; `failpoints` appends the trace of a test run.
DOORS = {"durable.py", "failpoints.py"}

FORBIDDEN = {
    "write_text", "write_bytes", "unlink", "rename", "renames", "fsync", "fdatasync", "mkdir", "makedirs",
    "rmdir", "removedirs", "rmtree", "touch", "symlink_to", "hardlink_to", "truncate", "ftruncate", "sendfile",
    "copytree", "copy2", "copyfile",
}  # fmt: skip
# These names have other meanings too: only on these modules are they the disk's.
FORBIDDEN_ON_MODULE = {"os": {"replace", "remove", "link", "symlink"}, "shutil": {"copy", "move"}}


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _writing_name(node)
            if name:
                yield node.lineno, name


def _writing_name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        module = function.value.id if isinstance(function.value, ast.Name) else ""
        if function.attr in FORBIDDEN or function.attr in FORBIDDEN_ON_MODULE.get(module, ()):
            return function.attr
        if function.attr == "open" and _mode_writes(call, 1 if module in ("io", "os") else 0):
            return "" if _keeps_nothing(call) else "open"
    if isinstance(function, ast.Name) and (
        function.id in FORBIDDEN or (function.id == "open" and _mode_writes(call, 1))
    ):
        return function.id
    return ""


def _keeps_nothing(call: ast.Call) -> bool:
    return bool(call.args) and ast.unparse(call.args[0]) == "os.devnull"


def _mode_writes(call: ast.Call, position: int) -> bool:
    modes = [keyword.value for keyword in call.keywords if keyword.arg in ("mode", "flags")]
    modes += call.args[position : position + 1]
    for mode in modes:
        if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
            if set(mode.value) <= set("rwaxbt+") and set(mode.value) & set("wax+"):
                return True
        elif any(name in ast.dump(mode) for name in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC")):
            return True
    return False


def test_only_durable_opens_files_for_writing_and_renames_removes_and_syncs_them() -> None:
    files = [file for file in ROOT.rglob("*.py") if str(file.relative_to(ROOT)) not in DOORS]
    assert files
    found = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files
        for line, name in writes(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_search_finds_each_way_of_writing() -> None:
    lines = [
        "open('x', 'w')", "open('x', mode='ab')", "path.open('r+b')", "os.open('x', os.O_WRONLY | os.O_CREAT)",
        "path.write_text('')", "path.unlink()", "os.remove('x')", "os.replace('x', 'y')", "os.fsync(3)",
        "path.rename('y')", "shutil.rmtree('x')", "shutil.move('x', 'y')",
    ]  # fmt: skip
    assert [line for line in lines if not list(writes(ast.parse(line)))] == []


def test_search_leaves_reading_alone() -> None:
    lines = ["open('x')", "path.open('rb')", "path.read_bytes()", "os.open('x', os.O_RDONLY)", "text.replace('a', 'b')"]
    assert [line for line in lines if list(writes(ast.parse(line)))] == []
