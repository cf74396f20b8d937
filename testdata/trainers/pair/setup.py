from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Uses a second package",
    packages=["trainer"],
    python_requires=">=3.7",
)
