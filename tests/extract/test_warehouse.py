"""A connection is one transaction, on either engine."""

import pytest

from pipelines.warehouse import Warehouse


def test_what_fails_on_the_way_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("create table notes (text text)")

    def halfway() -> None:
        with warehouse.connect() as connection:
            connection.execute("insert into notes values (?)", ("half",))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        halfway()
    with warehouse.connect() as connection:
        assert connection.execute("select * from notes") == []
        connection.execute("insert into notes values (?)", ("whole",))
    with warehouse.connect() as connection:
        assert connection.execute("select * from notes") == [("whole",)]
