"""No secret leaves the process, whoever writes the text."""

from __future__ import annotations

import logging

import pytest

from pipelines import redaction
from pipelines.redaction import mask, mask_logs

TOKEN = "pat-na1-a-token-in-a-log"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())  # not what other tests left
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("PGPASSWORD", "correct horse battery")


def test_token_and_database_password_become_stars() -> None:
    text = mask(f"Bearer {TOKEN} for postgres:correct horse battery@host")
    assert text == "Bearer *** for postgres:***@host"


def test_a_library_cannot_log_the_token(caplog: pytest.LogCaptureFixture) -> None:
    mask_logs()
    logger = logging.getLogger("some.library")
    logger.warning("header %s", f"Bearer {TOKEN}")
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logger.exception("request failed")
    assert "Bearer ***" in caplog.text
    assert "ValueError: ***" in caplog.text
    assert TOKEN not in caplog.text


def test_a_secret_that_begins_with_another_is_masked_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lengths = range(8, len(TOKEN))
    for length in lengths:  # many, so that no order of a set passes by luck
        monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", TOKEN[:length])
        mask_logs()
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", TOKEN)
    mask_logs()
    logging.getLogger("some.library").warning("header %s!", TOKEN)
    assert "header ***!" in caplog.text
