"""Test codecs, rings, resampling and pacing: what touches audio on its way, without Asterisk."""

from __future__ import annotations

import argparse
import sys

import suites

FILES = ("core", "rings_model", "resample", "formats", "heard")
C_SUITES = ("playout", "clock")


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="test_audio", description=__doc__)
    parser.parse_args()
    passed = [suites.c_suites(*C_SUITES), suites.python_tests(*FILES)]
    return suites.conclude("test_audio", *passed)


if __name__ == "__main__":
    sys.exit(main())
