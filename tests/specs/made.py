"""Messages made up after the service's descriptions, for hypothesis: every one that they admit."""

from __future__ import annotations

import base64
import functools
from typing import Any

from hypothesis import strategies as st

from tests.specs.schemas import Schema, Specification

DEPTH = 4
"""Of values that a description leaves open."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@functools.cache
def messages(specification: Specification, kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Every message of this type from the service that the description admits."""
    schema: Schema = dict(specification.validators["server"][kind].schema)
    return _Made(schema["components"]["schemas"]).of(schema)


class _Made:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def of(self, schema: Any) -> st.SearchStrategy[Any]:
        """Values that a schema admits."""
        if not isinstance(schema, dict):
            return ANYTHING
        if "$ref" in schema:
            return self.of(self._definitions[schema["$ref"].rpartition("/")[2]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return st.one_of([self.of(each) for each in schema[key]])
        if "allOf" in schema:
            parts = st.tuples(*(self.of(each) for each in schema["allOf"]))
            return parts.map(lambda found: functools.reduce(lambda a, b: a | b, found))
        return self._of_type(schema)

    def _of_type(self, schema: Schema) -> st.SearchStrategy[Any]:
        match schema.get("type", "object" if "properties" in schema else None):
            case "string" if schema.get("format") == "base64":
                return st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())
            case "string":
                return st.text()
            case "integer":
                return st.integers(schema.get("minimum"), schema.get("maximum"))
            case "number":
                least, most = schema.get("minimum"), schema.get("maximum")
                return st.floats(least, most, allow_nan=False, allow_infinity=False)
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "array":
                return st.lists(self.of(schema.get("items")), max_size=3)
            case "object":
                return self._object(schema)
            case _:
                return ANYTHING

    def _object(self, schema: Schema) -> st.SearchStrategy[Any]:
        properties = {key: self.of(each) for key, each in schema.get("properties", {}).items()}
        required = set(schema.get("required", ()))
        known = st.fixed_dictionaries(
            {key: each for key, each in properties.items() if key in required},
            optional={key: each for key, each in properties.items() if key not in required},
        )
        if schema.get("additionalProperties") is False:
            return known
        more = st.dictionaries(st.text(max_size=5), ANYTHING, max_size=2)
        return st.tuples(more, known).map(lambda both: both[0] | both[1])
