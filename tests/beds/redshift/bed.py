"""The Redshift bed: databases of a PostgreSQL server, reached as those of a Redshift cluster are."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
from sqlalchemy import create_engine, make_url

from beds.redshift.proxy import Proxy

__all__ = ["PASSWORD", "RedshiftBed", "opened_cluster"]

PASSWORD = "s3cret-of-the-cluster"
_HOST = "127.0.0.1"
_TEMPLATE = "redshift_bed"


class RedshiftBed:
    """A cluster. Shape:  ca_file: the certificates that its clients trust.  template: a database that new ones are copies of."""

    def __init__(self, proxy: Proxy, ca_file: Path) -> None:
        """Take what `opened_cluster` made."""
        self.proxy = proxy
        self.ca_file = ca_file
        self.template = _TEMPLATE

    def url(self, postgres_url: str) -> str:
        """Return the URL under which a client of Redshift reaches a database of the server."""
        database = make_url(postgres_url).database
        return f"redshift+redshift_connector://postgres:{PASSWORD}@{_HOST}:{self.proxy.port}/{database}"


@contextmanager
def opened_cluster(server: str, folder: Path) -> Iterator[RedshiftBed]:
    """Open a bed over a PostgreSQL server. `server`: the URL of its maintenance database.  folder: for the certificates."""
    authority = trustme.CA()
    ca_file = folder / "redshift-ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(_HOST).configure_cert(context)
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        # Redshift compares texts by their bytes.
        connection.exec_driver_sql(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    admin.dispose()
    template = create_engine(make_url(server).set(database=_TEMPLATE), isolation_level="AUTOCOMMIT")
    with template.connect() as connection:
        connection.exec_driver_sql("SET allow_system_table_mods = on")
        connection.exec_driver_sql(Path(__file__).with_name("catalog.sql").read_text(encoding="utf-8").replace("%", "%%"))
    template.dispose()
    socket = Path(str(make_url(server).query["host"])) / ".s.PGSQL.5432"
    with Proxy(socket, context) as proxy:
        yield RedshiftBed(proxy, ca_file)
