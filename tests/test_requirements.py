"""What requirements.txt lists is what the product imports, each with a reason beside it."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "fmnist_core").rglob("*.py")]
# Imported, and part of a package that is listed; its version follows from that package's.
BROUGHT_ALONG = {
    "keras": "tensorflow",
    "dask": "distributed",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
}
# Listed, though only other packages import them.
FOR_OTHERS = {"cryptography": "distributed"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The distributions whose modules the product imports, at the top of a file or within a function."""
    nodes = [node for path in PRODUCT for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    packages = (
        {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"fmnist_core", "pages"}
    )
    owners = metadata.packages_distributions()
    return {canonical(owner) for package in packages for owner in owners[package]}


def listed() -> dict[str, str]:
    """Each distribution in requirements.txt with the reason beside it."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    split = [line.partition("#") for line in lines]
    return {canonical(re.split(r"[<>=!~\[ ]", requirement)[0]): reason.strip() for requirement, _, reason in split}


def needs(package: str) -> set[str]:
    """What a distribution requires, extras included."""
    return {canonical(re.split(r"[<>=!~;\[( ]", line)[0]) for line in metadata.requires(package) or []}


def test_every_import_is_listed_and_everything_listed_is_imported() -> None:
    assert set(listed()) - set(FOR_OTHERS) == imported() - set(BROUGHT_ALONG)


def test_every_requirement_has_a_reason() -> None:
    assert [name for name, reason in listed().items() if len(reason) < 5] == []


def test_exceptions_are_what_they_say() -> None:
    assert all(part in needs(package) for part, package in BROUGHT_ALONG.items())
    assert set(FOR_OTHERS) <= set(listed()) - imported()
