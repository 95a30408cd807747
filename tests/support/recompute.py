"""Computes every figure of `report parties` and `report delivery` again, from the rows of their CSV alone.

usage: recompute.py parties|delivery ROWS.csv REPORT.json

Ends with 1 and says what differs if the report's summary is not what the rows come to. It shares no code with the
program: that is what it is for. No module beside Python's own is needed.
"""

import collections
import csv
import json
import sys

PARTIES = ["tesa", "operator", "installer", "customer", "us", "nobody", "unknown"]


def percentile(values, percent):
    """The nearest rank; none of nothing."""
    values = sorted(values)
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return values[max(rank, 1) - 1]


def number(row, name):
    return int(row[name])


def group(row):
    return tuple(row[name] or None for name in ("persistence_type", "territory_owner", "month"))


def parties(rows):
    groups = collections.defaultdict(list)
    for row in rows:
        if not row["left_out"]:
            groups[group(row)].append(row)
    summary = {}
    for key, members in groups.items():
        for party in PARTIES:
            if party == "nobody":
                continue
            times = [number(row, f"{party}_seconds") for row in members]
            summary[key + (party,)] = {
                "orders": len(members),
                "total_seconds": sum(times),
                "working_seconds": sum(number(row, f"{party}_working_seconds") for row in members),
                "error_seconds": sum(number(row, f"{party}_error_seconds") for row in members),
                "p50_seconds": percentile(times, 50),
                "p95_seconds": percentile(times, 95),
            }
    return summary


def delivery(rows):
    groups = collections.defaultdict(list)
    for row in rows:
        if row["level"]:
            groups[(row["level"],) + group(row)].append(row)
    summary = {}
    for key, members in groups.items():
        count = collections.Counter()
        for row in members:
            late = max(0, number(row, "taken_seconds") - number(row, "allowed_seconds"))
            assert late == number(row, "late_seconds"), row
            verdict = ("late" if late else "met") if row["closed"] else ("open_late" if late else "open")
            assert verdict == row["verdict"], row
            count[verdict] += 1
        over = count["met"] + count["late"]
        taken = [number(row, "taken_seconds") for row in members if row["closed"]]
        summary[key] = {
            "orders": len(members),
            "met": count["met"],
            "late": count["late"],
            "open": count["open"],
            "open_late": count["open_late"],
            "share_met": count["met"] / over if over else None,
            "p50_seconds": percentile(taken, 50),
            "p95_seconds": percentile(taken, 95),
            "worst_late_seconds": max(number(row, "late_seconds") for row in members),
        }
    return summary


def key_of(kind, told):
    names = ["persistence_type", "territory_owner", "month"]
    names = names + ["party"] if kind == "parties" else ["level"] + names
    return tuple(told.pop(name) for name in names)


def main(kind, rows_file, report_file):
    with open(rows_file, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(report_file, encoding="utf-8") as file:
        report = json.load(file)
    wrong = []
    # Every order that was selected is counted or left out with its reason, and its parties' times are its whole time.
    reasons = {(row["org"], row["reference_id"]): row["left_out"] for row in rows}
    left_out = collections.Counter(reason for reason in reasons.values() if reason)
    counted = len(reasons) - sum(left_out.values())
    for name, value in (("selected", len(reasons)), ("counted", counted), ("left_out", dict(left_out))):
        if report[name] != value:
            wrong.append(f"{name}: the report says {report[name]}, the rows {value}")
    for row in rows:
        if row["gross_seconds"]:
            off = number(row, "gross_seconds") - sum(number(row, f"{party}_seconds") for party in PARTIES)
            # Each figure is cut to a second.
            if not 0 <= off < len(PARTIES):
                wrong.append(f"{row['reference_id']}: the parties' times are {off} s less than the whole")
    computed = parties(rows) if kind == "parties" else delivery(rows)
    told = {key_of(kind, one): one for one in report["summary"]}
    if told.keys() != computed.keys():
        wrong.append(f"groups: {sorted(map(str, told.keys() ^ computed.keys()))}")
    for key, figures in computed.items():
        if told.get(key) != figures:
            wrong.append(f"{key}: the report says {told.get(key)}, the rows {figures}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
