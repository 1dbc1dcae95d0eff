"""Time as the portal sees it: UTC, whole milliseconds, settable."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1)
DAY_MS = 86_400_000


def iso(ms: int) -> str:
    """HubSpot's text for a moment: `2024-11-20T20:12:09.236Z`."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


def milliseconds(value: datetime) -> int:
    """Epoch milliseconds of a moment; a naive one is taken as UTC."""
    naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return (naive - EPOCH) // timedelta(milliseconds=1)


def parse(text: str) -> int | None:
    """Epoch ms of a date, an ISO datetime or epoch milliseconds; else None."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        if len(text) == 10:
            text = date.fromisoformat(text).isoformat() + "T00:00:00"
        return milliseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


class Clock:
    """Real time until someone sets it; a set clock stands still until it is moved.

    Standing still is what makes ten thousand records of one millisecond easy to build.
    """

    def __init__(self) -> None:
        self._frozen: int | None = None
        self._offset = 0

    def now_ms(self) -> int:
        if self._frozen is not None:
            return self._frozen
        return milliseconds(datetime.now(UTC)) + self._offset

    def now(self) -> datetime:
        return (EPOCH + timedelta(milliseconds=self.now_ms())).replace(tzinfo=UTC)

    def set(self, moment: datetime) -> None:
        """Freeze the clock at `moment`."""
        self._frozen = milliseconds(moment)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, frozen or not."""
        step = round(seconds * 1000)
        if self._frozen is not None:
            self._frozen += step
        else:
            self._offset += step

    def run(self) -> None:
        """Back to real time."""
        self._frozen, self._offset = None, 0
