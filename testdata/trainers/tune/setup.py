from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Fits a line with the optimizer that a tuning job's trial is given",
    packages=["trainer"],
    python_requires=">=3.7",
)
