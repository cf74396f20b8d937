from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Raises an exception",
    packages=["trainer"],
    python_requires=">=3.7",
)
