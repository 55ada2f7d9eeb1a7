#!/usr/bin/python3
"""Ticks as croniter has them, for tests/unit/cron_croniter_test.cc.

Reads lines "EXPRESSION<tab>ZONE<tab>UNIX SECONDS<tab>COUNT", prints for each the unix seconds of so many ticks after that
moment. In a zone croniter goes along its clocks, and what docs/schedules.md says of gap and overlap is added here, with
Python's own zoneinfo. Exits with 77 where croniter is not installed (Debian: python3-croniter).
"""
import sys
from datetime import datetime, timedelta, timezone

try:
    from zoneinfo import ZoneInfo

    from croniter import CroniterBadDateError, croniter
except ImportError as error:
    print(error)
    sys.exit(77)


def jump_before(low, high, zone):
    """The first second in (low, high] at which the clocks of the zone show another offset than at low."""
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def instants(local, zone, both):
    """The unix seconds at which the clocks of the zone show this time, or jump over it."""
    first, second = (int(local.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if first == second:
        return [first]
    if second < first:
        return [jump_before(second, first, zone)]
    return [first, second] if both else [first]


def ticks(expression, zone_name, start, count):
    zone = ZoneInfo(zone_name)
    hour = expression.split()[1]
    both = hour.startswith("*") or hour == "0-23"
    local = datetime.fromtimestamp(start, timezone.utc).replace(tzinfo=None)
    local += datetime.fromtimestamp(start, zone).utcoffset() - timedelta(hours=3)
    walk = croniter(expression, local)
    found = []
    while True:
        those = instants(walk.get_next(datetime), zone, both)
        # The first of them never lies before that of an earlier time of day: nothing new can come among those found.
        if len(found) >= count and those[0] > sorted(found)[count - 1]:
            return sorted(found)[:count]
        found += [tick for tick in those if tick > start and tick not in found]


for line in sys.stdin:
    expression, zone_name, start, count = line.rstrip("\n").split("\t")
    try:
        print(*ticks(expression, zone_name, int(start), int(count)))
    except CroniterBadDateError:
        print("none")  # it gives up sooner than we do
