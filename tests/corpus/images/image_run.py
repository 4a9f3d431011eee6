"""Fetches in a process of its own, for tests that kill it or look at its memory: port folder count [policy as JSON]."""

import json
import sys
from pathlib import Path

from vesalius.corpus.images import Policy, Wanted, fetch_all

if __name__ == "__main__":
    port, folder, count, options = sys.argv[1:]
    policy = Policy(allow=["127.0.0.0/8"], delay=0, **json.loads(options))
    wanted = (Wanted(f"http://{'abcd'[i % 4]}.test:{port}/{i}.png", f"d{i}") for i in range(int(count)))
    statuses = []
    for fetched in fetch_all(wanted, folder, policy, lookup=lambda host: ["127.0.0.1"]):
        statuses.append(fetched.status)
        if not fetched.before:
            print(fetched.url, flush=True)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"peak": int(peak.split()[1]) / 1024, "statuses": sorted(set(statuses))}))
