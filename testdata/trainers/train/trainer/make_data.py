"""Makes data.csv: python3 -m trainer.make_data > trainer/data.csv

Each row is a point of the square from -1 to 1 and its label. The label is 1
where 2 x1 - 3 x2 + 0.5 plus a little noise is positive, so that a straight
line tells most points right, but not all. The random numbers come from a
linear congruential generator written out here, so that every Python makes the
same file.
"""

ROWS = 200
SEED = 20
NOISE = 0.4


def uniform(seed):
    """Yield numbers from -1 (included) to 1 (excluded)."""
    state = seed
    while True:
        state = (1103515245 * state + 12345) % 2 ** 31
        yield (state >> 8) / 2.0 ** 22 - 1  # the low bits have short periods


def rows():
    numbers = uniform(SEED)
    for _ in range(ROWS):
        x1, x2, noise = next(numbers), next(numbers), NOISE * next(numbers)
        yield x1, x2, int(2 * x1 - 3 * x2 + 0.5 + noise > 0)


if __name__ == "__main__":
    print("x1,x2,label")
    for row in rows():
        print("%.4f,%.4f,%d" % row)
