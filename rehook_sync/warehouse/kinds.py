"""What the types of columns are, as far as reading needs it. Pure."""

from rehook_sync.warehouse.layout import Kind

__all__ = ["POSTGRESQL_KINDS", "sqlite_kind"]

POSTGRESQL_KINDS = {
    **dict.fromkeys((25, 1043), Kind.TEXT),
    **dict.fromkeys((1042, 1014), Kind.PADDED),
    2950: Kind.UUID,
    **dict.fromkeys((1082, 1114, 1184), Kind.TIME),
    **dict.fromkeys((20, 21, 23), Kind.NUMBER),
    **dict.fromkeys((700, 701, 1700), Kind.DECIMAL),
    **dict.fromkeys((114, 3802), Kind.JSON),
    16: Kind.BOOLEAN,
}
"""By type oid; the oids are the same in every PostgreSQL and in Redshift."""
_SQLITE_KINDS = {
    "BOOL": Kind.BOOLEAN,
    "TIMESTAMP": Kind.TIME,
    "DATETIME": Kind.TIME,
    "JSON": Kind.JSON,
    "BLOB": Kind.UNTYPED,
    "CHAR": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "INT": Kind.NUMBER,
    "NUMERIC": Kind.NUMBER,
    "REAL": Kind.DECIMAL,
    "FLOA": Kind.DECIMAL,
    "DOUB": Kind.DECIMAL,
}
"""By a text within the declared type; the first that is found decides."""


def sqlite_kind(declared: str) -> Kind:
    """Return the kind of a column declared as this."""
    declared = declared.upper()
    if not declared:
        return Kind.UNTYPED
    return next((kind for name, kind in _SQLITE_KINDS.items() if name in declared), Kind.OTHER)
