"""Prints "passed failed skipped" summed over GoogleTest's JSON results in a folder."""
import json
import pathlib
import sys

passed = failed = skipped = 0
for path in pathlib.Path(sys.argv[1]).glob("*.json"):
    for suite in json.loads(path.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                failed += 1
            elif test.get("result") == "SKIPPED":
                skipped += 1
                reason = (test.get("skipped") or [{}])[0].get("message", "").strip().splitlines()
                print(f"skipped: {suite['name']}.{test['name']}: {' '.join(reason)}", file=sys.stderr)
            elif test.get("status") == "RUN":
                passed += 1
print(passed, failed, skipped)
