"""Classes that see bytes, by the text of their files."""

import ast


def sees_bytes(node: ast.ClassDef) -> bool:
    """Whether a class has what a guard needs, by itself or as one that judges its chunks alone."""
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return "feed" in methods and ("finish" in methods or "EachChunk" in bases)
