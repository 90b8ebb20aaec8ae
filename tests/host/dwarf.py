"""What types a compiled file says its variables have, spelled out in full.

Read from `readelf`, which every machine with a compiler has. Two compilations of the same file
against two sets of headers are comparable: typedefs are followed, members have their offsets.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.timing import SECOND

_ENTRY = re.compile(r"^\s*<(\w+)><(\w+)>: Abbrev Number: \d+(?: \(DW_TAG_(\w+)\))?")
_ATTRIBUTE = re.compile(r"^\s*<\w+>\s+DW_AT_(\w+)\s*:\s*(.*)$")
_QUALIFIERS = {"const_type": "const ", "volatile_type": "volatile ", "restrict_type": ""}
_RECORDS = {"structure_type": "struct", "union_type": "union", "enumeration_type": "enum"}


@dataclass
class Entry:
    """One debugging information entry."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Entry] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name, or "" for what has none."""
        return self.attributes.get("name", "")


class Types:
    """The types of one object file."""

    def __init__(self, path: Path) -> None:
        dump = subprocess.run(
            ["readelf", "--debug-dump=info", "--wide", str(path)],
            capture_output=True, text=True, check=True, timeout=60 * SECOND,
        ).stdout  # fmt: skip
        self.entries: dict[str, Entry] = {}
        self.top: list[Entry] = []
        self._parse(dump)

    def _parse(self, dump: str) -> None:
        parents: list[Entry] = []
        current: Entry | None = None
        for line in dump.splitlines():
            if found := _ENTRY.match(line):
                depth, offset, tag = int(found[1], 16), found[2], found[3]
                current = None
                if tag is None:
                    continue
                current = self.entries[offset] = Entry(tag)
                del parents[depth:]
                if depth == 1:
                    self.top.append(current)
                if parents:
                    parents[-1].children.append(current)
                parents.append(current)
            elif current is not None and (found := _ATTRIBUTE.match(line)):
                # (data1) 8: newer readelf says in which form
                value = re.sub(r"^\(\w+\) ", "", found[2].strip())
                # (indirect string, offset: 0x12): name
                if found[1] == "name":
                    value = value.rsplit(": ", 1)[-1]
                current.attributes[found[1]] = value

    def variables(self) -> dict[str, str]:
        """Every variable of the file with its type; records with their members."""
        return {
            entry.name: self.spell(entry, whole=True)
            for entry in self.top
            if entry.tag == "variable" and entry.name
        }

    def _target(self, entry: Entry) -> Entry | None:
        reference = entry.attributes.get("type")
        found = re.match(r"<0x(\w+)>", reference) if reference else None
        return self.entries[found[1]] if found else None

    def spell(self, holder: Entry, whole: bool = False) -> str:
        """The type of whatever this entry is; whole: with the members also of a named record."""
        target = self._target(holder)
        if target is None:
            return "void"
        if target.tag == "typedef":
            return self.spell(target, whole)
        if target.tag in _QUALIFIERS:
            return _QUALIFIERS[target.tag] + self.spell(target, whole)
        if target.tag == "pointer_type":
            return self.spell(target, whole) + " *"
        if target.tag in _RECORDS:
            return self._record(target, whole)
        if target.tag == "array_type":
            return self.spell(target) + self._dimensions(target)
        if target.tag == "subroutine_type":
            return self._function(target)
        return target.name

    def _dimensions(self, entry: Entry) -> str:
        bounds = [child.attributes for child in entry.children if child.tag == "subrange_type"]
        return "".join(f"[{b.get('upper_bound', b.get('count', ''))}]" for b in bounds)

    def _function(self, entry: Entry) -> str:
        arguments = [
            "..." if child.tag == "unspecified_parameters" else self.spell(child)
            for child in entry.children
        ]
        return f"{self.spell(entry)} ({', '.join(arguments)})"

    def _record(self, entry: Entry, whole: bool) -> str:
        kind = _RECORDS[entry.tag]
        if "declaration" in entry.attributes or (entry.name and not whole):
            return f"{kind} {entry.name}"
        if kind == "enum":
            # Which constants it has is compared by value: a subset will do.
            return f"enum {entry.name} of {entry.attributes.get('byte_size')} bytes"
        members = [self._member(child) for child in entry.children if child.tag == "member"]
        size = entry.attributes.get("byte_size", "?")
        return f"{kind} {entry.name} of {size} bytes {{ {'; '.join(members)} }}"

    def _member(self, entry: Entry) -> str:
        of = entry.attributes
        place = of.get("data_bit_offset") or of.get("data_member_location", "0")
        bits = f":{of['bit_size']}" if "bit_size" in of else ""
        return f"{place} {self.spell(entry)} {entry.name}{bits}"
