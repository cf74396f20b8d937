"""Prints a heartbeat each second until it is stopped from outside.

It handles no signal: SIGTERM ends it at once.
"""

import itertools
import time


def main():
    for beat in itertools.count(1):
        print("heartbeat %d" % beat, flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
