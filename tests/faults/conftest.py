"""`make faults` ends with a table of what was tried and what came of it; FAULTS_JSON names a file for it."""

import json
import os

from helpers.faults import COUNTS, FULL, SEED


def pytest_terminal_summary(terminalreporter):
    if not FULL or not COUNTS:
        return
    terminalreporter.section(f"accidents, FAULTS_SEED={SEED}")
    for row in COUNTS:
        told = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in row.items() if name != "accident")
        terminalreporter.write_line(f"{row['accident']}: {told}")
    if file := os.environ.get("FAULTS_JSON"):
        with open(file, "w", encoding="utf-8") as opened:
            json.dump({"seed": SEED, "counts": COUNTS}, opened, indent=2)
