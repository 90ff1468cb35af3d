"""Finds the changes between two OpenAPI documents that break clients; ignores prose."""

_PROSE = {"description", "summary", "title", "example"}
_CONSTRAINTS = {
    "additionalProperties",
    "enum",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "uniqueItems",
}


def contract(document):
    """Return the document without its prose and the service's version."""
    stripped = _without_prose(document)
    del stripped["info"]
    return stripped


def changes(old, new):
    """Return (breaking, additive), sorted: one line for each difference between two contracts.

    An operation or schema that only one contract has is one line, however many values it holds.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    known, still = _prefixes(before), _prefixes(after)
    breaking = [f"removed {_name(_unit(path, still))}" for path in before.keys() - after.keys()]
    breaking += [
        f"changed {_name(path)} from {before[path]!r} to {after[path]!r}"
        for path in before.keys() & after.keys()
        if before[path] != after[path]
    ]
    additive = []
    for path in after.keys() - before.keys():
        if _is_stricter(path, after[path], known):
            breaking.append(f"newly required {_name(path)}")
        else:
            additive.append(f"added {_name(_unit(path, known))}")
    return sorted(set(breaking)), sorted(set(additive))


def _prefixes(paths):
    return {path[:n] for path in paths for n in range(len(path) + 1)}


def _unit(path, known):
    """Return the operation or schema of `path` if it is not in `known` as a whole, else `path`."""
    return path if path[:3] in known else path[:3]


def _is_stricter(path, value, known):
    """Return whether an added value restricts requests that clients send already."""
    if path[:1] == ("paths",) and path[3:4] == ("parameters",) and path[-1] == "required":
        return value and path[:3] in known
    at = next((n for n, key in enumerate(path) if key in _CONSTRAINTS), None)
    if at is None or path[at - 1] == "properties" or _is_answer(path):
        return False
    is_new_constraint = path[at] == "required" or path[: at + 1] not in known
    return is_new_constraint and path[:at] in known


def _is_answer(path):
    return "responses" in path[:5] or (
        path[:2] == ("components", "schemas") and path[2].endswith("Out")
    )


def _without_prose(node, *, is_mapping=False):
    """Drop prose; the keys of a mapping, such as `properties`, are names and are never dropped."""
    if isinstance(node, dict):
        return {
            key: _without_prose(value, is_mapping=key in {"properties", "schemas", "paths"})
            for key, value in node.items()
            if is_mapping or key not in _PROSE
        }
    return [_without_prose(value) for value in node] if isinstance(node, list) else node


def _leaves(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(node, list):
        for n, value in enumerate(node):
            key = value.get("name", str(n)) if isinstance(value, dict) else str(value)
            yield from _leaves(value if isinstance(value, dict) else True, (*path, key))
    else:
        yield path, node


def _name(path):
    return " > ".join(path)
