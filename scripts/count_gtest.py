"""Prints "passed failed skipped" summed over GoogleTest's XML results in a folder, and every skip with its reason."""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

passed = failed = skipped = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
    for test in ElementTree.parse(path).getroot().iter("testcase"):
        skip = test.find("skipped")
        if test.find("failure") is not None:
            failed += 1
        elif skip is not None:
            skipped += 1
            reason = " ".join((skip.get("message") or skip.text or "").split())
            print(f"skipped: {test.get('classname')}.{test.get('name')}: {reason}", file=sys.stderr)
        elif test.get("status") == "run":
            passed += 1
print(passed, failed, skipped)
