"""No secret leaves the process, whoever writes the text."""

from __future__ import annotations

import logging

import pytest

from pipelines.redaction import mask, mask_logs

TOKEN = "pat-na1-a-token-in-a-log"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
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
