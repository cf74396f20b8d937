"""Refuses its learning rate: for looking at how a failure is told."""

import argparse


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning-rate", type=float, default=-0.1)
    options, _ = parser.parse_known_args()
    print("starting", flush=True)
    train(options.learning_rate)


def train(learning_rate):
    check(learning_rate)
    print("never reached", flush=True)


def check(learning_rate):
    if learning_rate <= 0:
        raise ValueError("learning rate must be positive, got %s" % learning_rate)


if __name__ == "__main__":
    main()
