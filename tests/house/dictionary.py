"""The data dictionary of sql/README.md as data, and what is written from it.

`python tests/house/dictionary.py` writes the docs blocks of the dbt package anew, and prints the statements that give the
sync-state tables in PostgreSQL their comments, for a new step in sql/migrations.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS_BLOCKS", "Column", "Item", "comment_statement", "docs_blocks", "read_dictionary", "read_section"]

_ROOT = Path(__file__).resolve().parents[2]
DOCS_BLOCKS = _ROOT / "sql" / "dbt" / "models" / "dictionary.md"
_DICTIONARY = (_ROOT / "sql" / "README.md").read_text(encoding="utf-8").partition("\n## Data dictionary\n")[2].partition("\n## ")[0]
_NOTE = "{# Written from sql/README.md by tests/house/dictionary.py. #}\n"


@dataclass(frozen=True)
class Column:
    """One line of the dictionary. `changes` is empty for the columns of views, whose rows are never written."""

    name: str
    kind: str
    may_be_null: bool
    unit: str
    changes: str
    holds: str


@dataclass(frozen=True)
class Item:
    """A table or a view: `kind` is the word."""

    kind: str
    name: str
    about: str
    columns: Sequence[Column]


def read_section(title: str) -> tuple[str, list[dict[str, str]]]:
    """The first paragraph below a heading, and the rows of its table by the names of its columns."""
    found = re.search(rf"^### {re.escape(title)}\n\n(.*?)(?=^### |\Z)", _DICTIONARY, re.DOTALL | re.MULTILINE)
    assert found, f"sql/README.md has no section {title!r}"
    lines = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in found[1].splitlines() if line.startswith("|")]
    return found[1].partition("\n\n")[0], [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def read_dictionary() -> Mapping[str, Item]:
    """Everything the dictionary calls a table or a view, by name."""
    found = re.findall(r"^### (Table|View) `(\w+)`$", _DICTIONARY, re.MULTILINE)
    return {name: _read_item(kind, name) for kind, name in found}


def _read_item(kind: str, name: str) -> Item:
    about, rows = read_section(f"{kind} `{name}`")
    columns = [
        Column(
            row["column"].strip("`"),
            row["type"].rstrip("?"),
            row["type"].endswith("?"),
            row["unit"],
            row.get("changes", ""),
            row["holds"],
        )
        for row in rows
    ]
    return Item(kind, name, about, columns)


def plain(text: str) -> str:
    """A text of the dictionary without its markup."""
    return re.sub(r"\[(.+?)\]\(.+?\)", r"\1", text).replace("`", "")


def comments(item: Item) -> Iterator[tuple[str, str]]:
    """What PostgreSQL is told about a table or view, then about each of its columns: the thing as COMMENT names it, and the text."""
    yield f"{item.kind.upper()} {item.name}", plain(item.about)
    yield from ((f"COLUMN {item.name}.{column.name}", plain(column.holds)) for column in item.columns)


def comment_statement(thing: str, text: str) -> str:
    """The statement that gives a thing its comment."""
    return "COMMENT ON {} IS '{}';".format(thing, text.replace("'", "''"))


def docs_blocks() -> str:
    """The docs blocks of the dbt package: one for each table, and for each of its columns."""
    blocks = []
    for item in read_dictionary().values():
        if item.kind == "Table":
            texts = {item.name: item.about, **{f"{item.name}__{column.name}": column.holds for column in item.columns}}
            blocks += [f"{{% docs {name} %}}{plain(text)}{{% enddocs %}}\n" for name, text in texts.items()]
    return _NOTE + "\n" + "".join(blocks)


def main() -> None:
    """Write the docs blocks, print the comments."""
    DOCS_BLOCKS.write_text(docs_blocks(), encoding="utf-8")
    for item in read_dictionary().values():
        print(*(comment_statement(thing, text) for thing, text in comments(item)), sep="\n")  # noqa: T201 - a program of its own


if __name__ == "__main__":
    main()
