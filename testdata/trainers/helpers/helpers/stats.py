"""Statistics of a few numbers."""


def mean(numbers):
    return sum(numbers) / len(numbers)


def variance(numbers):
    middle = mean(numbers)
    return mean([(n - middle) ** 2 for n in numbers])
