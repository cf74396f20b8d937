from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Writes what a page must not take for its own",
    packages=["trainer"],
    python_requires=">=3.7",
)
