"""Prints what the package helpers makes of the numbers given."""

import argparse

from helpers import stats


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", default="1,2,3,4", help="separated by commas")
    options, _ = parser.parse_known_args()
    numbers = [float(n) for n in options.numbers.split(",")]
    print("mean %g, variance %g" % (stats.mean(numbers), stats.variance(numbers)), flush=True)


if __name__ == "__main__":
    main()
