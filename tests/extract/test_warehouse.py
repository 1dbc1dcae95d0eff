"""A connection is one transaction, on either engine."""

import pytest

from pipelines.hubspot.raw import ensure_tables
from pipelines.warehouse import Warehouse


def test_what_fails_on_the_way_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("create schema mine")  # the sync role owns no other
        connection.execute("create table mine.notes (text text)")

    def halfway() -> None:
        with warehouse.connect() as connection:
            connection.execute("insert into mine.notes values (?)", ("half",))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        halfway()
    with warehouse.connect() as connection:
        assert connection.execute("select * from mine.notes") == []
        connection.execute("insert into mine.notes values (?)", ("whole",))
    with warehouse.connect() as connection:
        assert connection.execute("select * from mine.notes") == [("whole",)]


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_a_row_of_many_short_values_stays_in_its_page(warehouse: Warehouse) -> None:
    names = [f"field_{number}" for number in range(60)]
    with warehouse.connect() as connection:
        ensure_tables(connection, {"contacts": names}, index=True)
        connection.execute(
            f"insert into hubspot_raw.contacts (id, {', '.join(names)}) "
            f"values ('1', {', '.join('?' for _ in names)})",
            tuple(f"{name}: what a person wrote into it" for name in names),
        )
        [(row, moved)] = connection.execute(
            "select sum(pg_column_size(contacts.*)), "
            "pg_relation_size((select reltoastrelid from pg_class "
            "where oid = 'hubspot_raw.contacts'::regclass)) "
            "from hubspot_raw.contacts"
        )
    assert row > 2_000
    assert moved == 0


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_a_command_that_has_ended_is_in_nobody_s_way(warehouse: Warehouse) -> None:
    with warehouse.connect() as other:
        for _ in range(100):
            with warehouse.lock():
                pass
            locks = other.execute(
                "select pid from pg_locks where locktype = 'advisory' and database = ("
                "select oid from pg_database where datname = current_database())"
            )
            assert locks == []


@pytest.mark.parametrize("target", ["duckdb"], indirect=True)
def test_a_checkpoint_is_made_beside_other_work(warehouse: Warehouse) -> None:
    assert warehouse.path is not None
    log = warehouse.path.with_name(f"{warehouse.path.name}.wal")
    with warehouse.connect() as connection:
        connection.execute("create schema mine")
    with warehouse.lock():  # as in a sync: the file stays open
        with warehouse.connect() as connection:
            connection.execute("create table mine.notes as select 1 as note")
        assert log.stat().st_size > 0
        with warehouse.checkpointing():
            pass
        assert not log.exists() or log.stat().st_size == 0
