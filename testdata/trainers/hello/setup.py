from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Greets, and leaves the greeting in its job directory",
    packages=["trainer"],
    python_requires=">=3.7",
)
