"""A sweep as a user would write it in Python: aiohttp and sqlite3.

Asks for the list, reads the events of each request, sixteen at a time, looks for gaps in their sequence, and remembers in a
SQLite file when each was looked at. Prints the seconds that took.

    python sweep.py BASE_URL TOKEN ORG FILE

Needs: aiohttp (any of 3.9 and later).
"""

import asyncio
import sqlite3
import sys
import time
from datetime import datetime, timezone

import aiohttp

IN_FLIGHT = 16
BATCH = 2_000


def in_order(events):
    """No number of a stream is missing, none stands twice, and nobody marked an event as inconsistent."""
    streams = {}
    for event in events:
        if event.get("inconsistent"):
            return False
        stream = (event.get("request_number"), event.get("subrequest_number"))
        streams.setdefault(stream, []).append(event.get("sequence_number"))
    for numbers in streams.values():
        numbers = sorted(number for number in numbers if number is not None)
        if any(after - before != 1 for before, after in zip(numbers, numbers[1:])):
            return False
    return True


async def sweep(base, token, org, file):
    store = sqlite3.connect(file)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = OFF")
    store.execute(
        "CREATE TABLE looks (org TEXT, reference_id TEXT, looked_at TEXT, PRIMARY KEY (org, reference_id)) WITHOUT ROWID"
    )
    store.execute("CREATE TABLE findings (org TEXT, reference_id TEXT, found_at TEXT)")
    requests = f"{base}/tesa/orgs/{org}/requests"
    connections = aiohttp.TCPConnector(limit=IN_FLIGHT)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    looked, found, failed = [], [], 0

    def flush():
        store.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", looked)
        store.executemany("INSERT INTO findings VALUES (?, ?, ?)", found)
        store.commit()
        looked.clear()
        found.clear()

    async with aiohttp.ClientSession(connector=connections, headers=headers) as session:
        async with session.get(requests) as answer:
            answer.raise_for_status()
            ids = iter((await answer.json())["reference_ids"])

        async def worker():
            nonlocal failed
            for reference_id in ids:
                try:
                    async with session.get(f"{requests}/{reference_id}/events") as answer:
                        answer.raise_for_status()
                        events = await answer.json()
                except aiohttp.ClientError:
                    failed += 1
                    continue
                now = datetime.now(timezone.utc).isoformat()
                looked.append((org, reference_id, now))
                if not in_order(events):
                    found.append((org, reference_id, now))
                if len(looked) >= BATCH:
                    flush()

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    flush()
    (count,) = store.execute("SELECT count(*) FROM looks").fetchone()
    store.close()
    return count, failed


def main():
    begun = time.monotonic()
    count, failed = asyncio.run(sweep(*sys.argv[1:5]))
    print(f"{count} {failed} {time.monotonic() - begun:.3f}")


main()
